"""The voices' graphs cut in two, made once on a machine and kept."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from agent.errors import MissingModelError
from agent.models import store
from agent.models.lock import sole_worker

if TYPE_CHECKING:
    from agent.models.kokoro_graph import Split

_RECIPE = "2"
"""Changes when the files made from the same export would differ."""


@dataclass(frozen=True, slots=True)
class Graphs:
    """A voice's two graphs: files, or their content where no file can be kept."""

    prosody: Path | bytes
    decoder: Path | bytes


def prepared(name: str, sources: Sequence[Path], make: Callable[[], "Split"]) -> Graphs:
    """Give a voice's two graphs; make them if they are not there.

    Args:
        name: Of the directory they are kept in.
        sources: Files the graphs are made of; other files of these names, other graphs.
        make: Makes them.

    Raises:
        MissingModelError: A source is absent.
    """
    target = store.home() / "prepared" / f"{name}-{_fingerprint(sources)}"
    if not target.is_dir():
        try:
            # Alone: whoever else makes them would discard ours as those of an earlier export.
            with sole_worker(store.home() / "prepared" / f"{name}.lock", logger.info):
                if not target.is_dir():
                    discard(name)
                    _keep(make(), target)
        except OSError as error:
            logger.warning(
                "{} is made anew at each start, for {} cannot be written: {}", name, target, error
            )
            split = make()
            return Graphs(split.prosody.SerializeToString(), split.decoder.SerializeToString())
    return Graphs(target / "prosody.onnx", target / "decoder.onnx")


def discard(name: str) -> None:
    """Remove a voice's graphs; they can be made again from its export."""
    for folder in (store.home() / "prepared").glob(f"{name}-*/"):
        shutil.rmtree(folder, ignore_errors=True)


def _keep(split: "Split", target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    try:
        (making / "prosody.onnx").write_bytes(split.prosody.SerializeToString())
        (making / "decoder.onnx").write_bytes(split.decoder.SerializeToString())
        # Whole or not at all: a crash leaves nothing that could be taken for the graphs.
        making.rename(target)
    except OSError:
        shutil.rmtree(making, ignore_errors=True)
        raise


def _fingerprint(sources: Sequence[Path]) -> str:
    stamps = [_RECIPE]
    for path in sources:
        if not path.is_file():
            raise MissingModelError(f"{path} is missing; run: duplex doctor")
        stamps.append(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}")
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:12]
