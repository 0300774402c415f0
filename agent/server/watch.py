"""Watches telephone calls: silence, length, and keys nobody asked for."""

import asyncio
from typing import TYPE_CHECKING

from loguru import logger
from pipecat.frames.frames import InputTransportMessageFrame, TTSSpeakFrame
from pipecat.observers.base_observer import BaseObserver, FramePushed

from agent.processors.frames import ClientEventFrame
from agent.settings import LadderSettings
from agent.transports.phone.call import Call
from agent.transports.phone.ladder import SilenceLadder

if TYPE_CHECKING:
    from agent.session import VoiceSession

_TICK_S = 0.25

_KEYS_SETTLE_S = 1.5
"""Keys pressed closer together than this belong together."""


class CallWatch(BaseObserver):
    """Sees who has the floor, and does what a silent or endless call needs.

    Args:
        session: Held over the call.
        call: The call.
        settings: When what is due.
    """

    def __init__(self, session: "VoiceSession", call: Call, settings: LadderSettings) -> None:
        super().__init__(observe_every_push=False)
        self._session = session
        self._call = call
        self._ladder = SilenceLadder(settings, self._now())
        self._keys = ""
        self._pressed_s = 0.0

    async def on_push_frame(self, data: FramePushed) -> None:
        """Note who speaks."""
        match data.frame:
            case ClientEventFrame(event={"type": "floor", "user": user, "agent": agent}):
                self._ladder.floor(
                    user=user != "silent", agent=agent != "silent", now_s=self._now()
                )

    def key(self, key: str) -> None:
        """The caller has pressed a key that no entry waits for."""
        self._ladder.key(self._now())
        self._keys = (self._keys + key)[-64:]
        self._pressed_s = self._now()

    async def run(self) -> None:
        """Until the call is over, or ended by us."""
        while not self._call.over.is_set():
            await asyncio.sleep(_TICK_S)
            if self._keys and self._now() - self._pressed_s >= _KEYS_SETTLE_S:
                await self._tell_keys()
            step = self._ladder.tick(self._now())
            if step is None:
                continue
            logger.info("call on {}: {}", self._call.facts.channel, step.reason)
            await self._session.worker.queue_frame(TTSSpeakFrame(step.text))
            if step.is_last:
                await self._call.hang_up()
                return

    async def _tell_keys(self) -> None:
        """Give keys to the conversation as the caller's words."""
        keys, self._keys = self._keys, ""
        # Long numbers go through an entry, which the language model and the records never see.
        said = keys if len(keys) < 6 else f"{len(keys)} keys"
        message = {"type": "text", "text": f"[The caller pressed {said} on the telephone.]"}
        await self._session.worker.queue_frame(InputTransportMessageFrame(message=message))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
