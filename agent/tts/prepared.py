"""The voices' graphs cut in two, made once on a machine and kept."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, suppress
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


@contextmanager
def prepared(name: str, sources: Sequence[Path], make: Callable[[], "Split"]) -> Iterator[Graphs]:
    """Give a voice's two graphs, to be opened within the block; make them if they are not there.

    Nobody else makes or discards graphs meanwhile: whoever finds that this machine is too slow for
    a voice removes its graphs, and another process may be about to open them.

    Args:
        name: Of the directory they are kept in.
        sources: Files the graphs are made of; other files of these names, other graphs.
        make: Makes them.

    Raises:
        MissingModelError: A source is absent.
    """
    target = store.home() / "prepared" / f"{name}-{_fingerprint(sources)}"
    with ExitStack() as block:
        yield _graphs(block, name, target, make)


def _graphs(block: ExitStack, name: str, target: Path, make: Callable[[], "Split"]) -> Graphs:
    try:
        block.enter_context(_alone())
        if not target.is_dir():
            _remove(name)
            _keep(make(), target)
    except OSError as error:
        # Where nothing can be written nothing is discarded either: what is there stays.
        if not target.is_dir():
            logger.warning(
                "{} is made anew at each start, for {} cannot be written: {}", name, target, error
            )
            split = make()
            return Graphs(split.prosody.SerializeToString(), split.decoder.SerializeToString())
    return Graphs(target / "prosody.onnx", target / "decoder.onnx")


def discard(name: str) -> None:
    """Remove the graphs of a voice, or of all whose names begin so and go on with a hyphen.

    They can be made again from their export.
    """
    with suppress(OSError), _alone():
        _remove(name)


def _alone() -> AbstractContextManager[None]:
    return sole_worker(store.home() / "prepared" / "lock", logger.info)


def _remove(name: str) -> None:
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
