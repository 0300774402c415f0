"""What is kept of conversations: recordings of calls, and the folders of `duplex record`.

It is kept as long as the settings say, and no longer; `duplex forget` deletes it before.
"""

import asyncio
import contextlib
import re
import shutil
import time
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from loguru import logger

from agent.errors import SettingsError
from agent.settings import Settings

_DAY_S = 86_400.0
_LOOK_S = 3_600.0
_OURS = re.compile(r"[0-9a-f]{32}\.wav|\d{8}T\d{6}-[0-9a-f]{8}")
"""Names that recordings and conversations are given; whatever else lies there is not ours to
delete."""


@dataclass(frozen=True, slots=True)
class Kept:
    """One recording, or one conversation with all that was kept of it.

    Attributes:
        path: A file, or a folder.
        written_s: When it was last written to, seconds since 1970.
        size: Bytes.
    """

    path: Path
    written_s: float
    size: int

    def delete(self) -> bool:
        """Delete it; False if that is not allowed."""
        with contextlib.suppress(OSError):
            if self.path.is_dir():
                shutil.rmtree(self.path)
            else:
                self.path.unlink()
        return not self.path.exists()


def kept(folder: Path) -> Iterator[Kept]:
    """Everything of ours in a folder, the oldest first."""
    found = []
    for path in folder.glob("*"):
        # A link leads to what is not ours.
        if not _OURS.fullmatch(path.name) or path.is_symlink():
            continue
        files = [file for file in (path, *path.glob("*")) if file.is_file()]
        with contextlib.suppress(OSError):
            stats = [file.stat() for file in files] or [path.stat()]
            written_s = max(stat.st_mtime for stat in stats)
            found.append(Kept(path, written_s, sum(stat.st_size for stat in stats)))
    yield from sorted(found, key=lambda one: one.written_s)


def expire(folder: Path, keep_days: float, now_s: float) -> int:
    """Delete what was last written to more than `keep_days` before `now_s`.

    Returns:
        How much was deleted.
    """
    old = [one for one in kept(folder) if now_s - one.written_s > keep_days * _DAY_S]
    return sum(one.delete() for one in old)


def forget(
    folders: Sequence[Path],
    names: Sequence[str] = (),
    *,
    older_days: float | None = None,
    everything: bool = False,
) -> int:
    """Delete what is named, too old, or all of it; without any of these only list it.

    Returns:
        Exit code: 0 if everything that was meant is gone.

    Raises:
        SettingsError: There is no folder, or nothing of that name.
    """
    if not folders:
        raise SettingsError(
            "nothing is kept: neither phone.recordings nor record.folder is set; name the folder "
            "of duplex record --to with --folder"
        )
    found = [one for folder in folders for one in kept(folder)]
    if unknown := sorted(set(names) - {one.path.name for one in found}):
        raise SettingsError(f"nothing is kept under the name {unknown[0]}; see: duplex forget")
    if not names and older_days is None and not everything:
        for one in found:
            at = datetime.fromtimestamp(one.written_s, UTC)
            print(f"{at:%Y-%m-%d %H:%M}  {one.size:>12}  {one.path}")
        print(f"{len(found)} kept; name those to forget, or --older-than DAYS, or --all")
        return 0
    oldest_s = time.time() - older_days * _DAY_S if older_days is not None else None
    meant = [
        one
        for one in found
        if everything
        or one.path.name in names
        or (oldest_s is not None and one.written_s < oldest_s)
    ]
    gone = sum(one.delete() for one in meant)
    print(f"{gone} forgotten, {len(found) - gone} kept")
    return 0 if gone == len(meant) else 1


def folders(settings: Settings) -> dict[Path, float | None]:
    """Where something may be kept, and for how many days; None for ever."""
    phone, record = settings.phone, settings.record
    places = ((record.folder, record.keep_days), (phone.recordings, phone.keep_days))
    return {folder: days for folder, days in places if folder}


@contextlib.asynccontextmanager
async def retention(settings: Settings) -> AsyncIterator[None]:
    """Look for what is too old, now and each hour, while this context lasts."""
    limited = {folder: days for folder, days in folders(settings).items() if days is not None}
    if not limited:
        yield
        return
    looking = asyncio.create_task(_look(limited), name="retention")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _look(limited: dict[Path, float]) -> None:
    while True:
        for folder, days in limited.items():
            if deleted := await asyncio.to_thread(expire, folder, days, time.time()):
                logger.info("{} recordings were older than {} days and are deleted", deleted, days)
        await asyncio.sleep(_LOOK_S)
