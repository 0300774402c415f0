"""The voices' graphs cut in two, made once on a machine and kept."""

import hashlib
import shutil
import tempfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from agent.errors import MissingModelError
from agent.models import store

if TYPE_CHECKING:
    from agent.models.kokoro_graph import Split

PROSODY = "prosody.onnx"
DECODER = "decoder.onnx"

_RECIPE = "2"
"""Changes when the files made from the same export would differ."""


def prepared(name: str, sources: Sequence[Path], make: Callable[[], "Split"]) -> Path:
    """Give the directory that holds a voice's two graphs; make them if they are not there.

    Args:
        name: Of the directory.
        sources: Files the graphs are made of; other files of these names, other graphs.
        make: Makes them.

    Raises:
        MissingModelError: A source is absent.
    """
    target = store.home() / "prepared" / f"{name}-{_fingerprint(sources)}"
    if target.is_dir():
        return target
    split = make()
    # Imported here: only this once does the agent need the onnx package.
    import onnx

    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    onnx.save(split.prosody, making / PROSODY)
    onnx.save(split.decoder, making / DECODER)
    try:
        # Whole or not at all: another process may be making the same.
        making.rename(target)
    except OSError:
        shutil.rmtree(making)
    return target


def _fingerprint(sources: Sequence[Path]) -> str:
    stamps = [_RECIPE]
    for path in sources:
        if not path.is_file():
            raise MissingModelError(f"{path} is missing; run: duplex doctor")
        stamps.append(f"{path.name} {path.stat().st_size} {path.stat().st_mtime_ns}")
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:12]
