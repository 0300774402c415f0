"""Keep two set-ups from working in the same cache at once."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO


@contextmanager
def sole_worker(path: Path, report: Callable[[str], None]) -> Iterator[None]:
    """Hold the lock at `path`; wait for whoever holds it.

    The operating system lets go of it when the holder ends, however it ends, so no lock is stale.

    Args:
        path: Lock file, created if need be and left there.
        report: Told once if there is somebody to wait for.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("ab+") as file:
        if not _try_lock(file):
            file.seek(0)
            holder = file.read().decode("ascii", "replace") or "unknown"
            report(f"another set-up (process {holder}) is at work in {path.parent}; waiting for it")
            _lock(file)
        file.seek(0)
        file.truncate()
        file.write(str(os.getpid()).encode("ascii"))
        file.flush()
        yield


if sys.platform == "win32":
    import msvcrt

    # Beyond the text: Windows forbids reading bytes that somebody else has locked.
    _LOCKED_BYTE = 1 << 20

    def _try_lock(file: BinaryIO) -> bool:
        file.seek(_LOCKED_BYTE)
        try:
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
        return True

    def _lock(file: BinaryIO) -> None:
        # LK_LOCK itself tries ten times, a second apart, and then gives up.
        while True:
            file.seek(_LOCKED_BYTE)
            try:
                msvcrt.locking(file.fileno(), msvcrt.LK_LOCK, 1)
            except OSError:
                continue
            return
else:
    import fcntl

    def _try_lock(file: BinaryIO) -> bool:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    def _lock(file: BinaryIO) -> None:
        fcntl.flock(file, fcntl.LOCK_EX)
