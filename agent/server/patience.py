"""Ends conversations in which nobody speaks, and those that do not end."""

import asyncio
from typing import TYPE_CHECKING

from loguru import logger
from pipecat.frames.frames import Frame, TTSSpeakFrame

from agent.processors.frames import ClientEventFrame
from agent.settings import ServerSettings

if TYPE_CHECKING:
    from agent.session import VoiceSession

_TIME_IS_UP = "I'm sorry, we have run out of time. Goodbye."


class Patience:
    """Watches one conversation over a page or a stream; telephone calls have their ladder.

    Args:
        session: Ended by this.
        settings: How long.
    """

    def __init__(self, session: "VoiceSession", settings: ServerSettings) -> None:
        self._session = session
        self._settings = settings
        self._changed = asyncio.Event()
        self._is_quiet = True

    def see(self, frame: Frame) -> None:
        """Note whether somebody speaks."""
        match frame:
            case ClientEventFrame(event={"type": "floor", "user": user, "agent": agent}):
                self._is_quiet = user == agent == "silent"
                self._changed.set()

    async def run(self) -> None:
        """Until the time is up; then the conversation is ended."""
        settings = self._settings
        try:
            async with asyncio.timeout(settings.longest_s):
                await self._until_idle()
        except TimeoutError:
            logger.info("session {} has lasted {} s", self._session.id, settings.longest_s)
            await self._session.worker.queue_frame(TTSSpeakFrame(_TIME_IS_UP))
        else:
            logger.info("session {}: nobody spoke for {} s", self._session.id, settings.idle_s)
            why = "Nobody spoke for a long time."
            event: dict[str, object] = {"type": "error", "message": why, "fix": "Start again."}
            await self._session.worker.queue_frame(ClientEventFrame(event=event))
        await self._session.end()

    async def _until_idle(self) -> None:
        while True:
            self._changed.clear()
            try:
                async with asyncio.timeout(self._settings.idle_s):
                    await self._changed.wait()
            except TimeoutError:
                if self._is_quiet:
                    return
