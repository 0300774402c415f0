"""Recordings are kept as long as the settings say, and no longer."""

import asyncio
import contextlib
import re
import time
from collections.abc import AsyncIterator
from pathlib import Path

from loguru import logger

from agent.settings import PhoneSettings

_DAY_S = 86_400.0
_LOOK_S = 3_600.0
_OURS = re.compile(r"[0-9a-f]{32}\.wav")
"""Names that recordings are given; whatever else lies there is not ours to delete."""


def expire(folder: Path, keep_days: float, now_s: float) -> int:
    """Delete recordings that were last written more than `keep_days` before `now_s`.

    Returns:
        How many were deleted.
    """
    deleted = 0
    for path in folder.glob("*.wav"):
        with contextlib.suppress(OSError):
            is_old = now_s - path.stat().st_mtime > keep_days * _DAY_S
            if is_old and _OURS.fullmatch(path.name):
                path.unlink()
                deleted += 1
    return deleted


@contextlib.asynccontextmanager
async def retention(settings: PhoneSettings) -> AsyncIterator[None]:
    """Look for recordings that are too old, now and each hour, while this context lasts."""
    if settings.recordings is None:
        yield
        return
    looking = asyncio.create_task(_look(settings.recordings, settings.keep_days), name="retention")
    try:
        yield
    finally:
        looking.cancel()
        await asyncio.gather(looking, return_exceptions=True)


async def _look(folder: Path, keep_days: float) -> None:
    while True:
        if deleted := await asyncio.to_thread(expire, folder, keep_days, time.time()):
            logger.info("{} recordings were older than {} days and are deleted", deleted, keep_days)
        await asyncio.sleep(_LOOK_S)
