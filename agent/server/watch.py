"""Watches telephone calls: who answers, silence, length, and keys nobody asked for."""

import asyncio
import contextlib
from typing import TYPE_CHECKING

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    TTSSpeakFrame,
)
from pipecat.observers.base_observer import BaseObserver, FramePushed

from agent.processors.frames import ClientEventFrame
from agent.settings import PhoneSettings
from agent.transports.phone.answering import AnswerDetector, Answerer, BeepOver
from agent.transports.phone.call import Call, Direction
from agent.transports.phone.ladder import SilenceLadder

if TYPE_CHECKING:
    from agent.session import VoiceSession

_TICK_S = 0.25

_LONGEST_GREETING_S = 60.0

_KEYS_SETTLE_S = 1.5
"""Keys pressed closer together than this belong together."""


class CallWatch(BaseObserver):
    """Sees who has the floor, and does what a silent or endless call needs.

    Args:
        session: Held over the call.
        call: The call.
        settings: What is due when.
    """

    def __init__(self, session: "VoiceSession", call: Call, settings: PhoneSettings) -> None:
        super().__init__(observe_every_push=False)
        self._session = session
        self._call = call
        self._ladder = SilenceLadder(settings.ladder, self._now())
        self._message = settings.voicemail
        self._meeting = _Meeting() if meets(call, settings) else None
        self._keys = ""
        self._pressed_s = 0.0

    async def on_push_frame(self, data: FramePushed) -> None:
        """Listen to who answers a call of ours."""
        if self._meeting and isinstance(data.frame, InputAudioRawFrame):
            self._meeting.hear(data.frame)

    def see(self, frame: Frame) -> None:
        """Note who speaks."""
        match frame:
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
        if self._meeting and not await self._meet(self._meeting):
            await self._call.hang_up()
            return
        while not self._call.over.is_set():
            await asyncio.sleep(_TICK_S)
            if self._keys and self._now() - self._pressed_s >= _KEYS_SETTLE_S:
                await self._tell_keys()
            if self._call.is_waiting or self._call.is_entering or self._session.is_asking:
                # On hold nobody is expected to speak; and a question has a patience of its own.
                self._ladder.key(self._now())
            step = self._ladder.tick(self._now())
            if step is None:
                continue
            logger.info("call on {}: {}", self._call.facts.channel, step.reason)
            await self._session.worker.queue_frame(TTSSpeakFrame(step.text))
            if step.is_last:
                await self._call.hang_up()
                return

    async def _meet(self, meeting: "_Meeting") -> bool:
        """Find out who answered our call; whether there is somebody to talk to."""
        await self._mute(muted=True)
        answered = await meeting.answered(self._call)
        logger.info("call on {}: {}", self._call.facts.channel, answered)
        if answered is Answerer.PERSON:
            self._meeting = None
            await self._session.worker.remove_observer(self)
            await self._mute(muted=False)
            await self._session.greet()
            return True
        if answered is Answerer.MACHINE and self._message and await meeting.beep_over(self._call):
            await self._session.worker.queue_frame(TTSSpeakFrame(self._message))
        return False

    async def _mute(self, *, muted: bool) -> None:
        """Keep the agent from answering a recorded voice."""
        message = {"type": "mute", "muted": muted}
        await self._session.worker.queue_frame(InputTransportMessageFrame(message=message))

    async def _tell_keys(self) -> None:
        """Give keys to the conversation as the caller's words."""
        keys, self._keys = self._keys, ""
        # Long numbers go through an entry, which the language model and the records never see.
        said = keys if len(keys) < 6 else f"{len(keys)} keys"
        message = {"type": "text", "text": f"[The caller pressed {said} on the telephone.]"}
        await self._session.worker.queue_frame(InputTransportMessageFrame(message=message))

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def meets(call: Call, settings: PhoneSettings) -> bool:
    """Whether it must be found out first who answered: the greeting waits for it."""
    return settings.detect_machines and call.facts.direction is Direction.OUTBOUND


class _Meeting:
    """The first seconds of a call that we made."""

    def __init__(self) -> None:
        self._detector: AnswerDetector | None = None
        self._found = asyncio.Event()
        self._beep_over = False

    def hear(self, frame: InputAudioRawFrame) -> None:
        """Audio of the other party's, mono."""
        self._detector = self._detector or AnswerDetector(frame.sample_rate)
        pcm = np.frombuffer(frame.audio, np.int16, len(frame.audio) // 2)
        for finding in self._detector.push(pcm):
            self._beep_over = self._beep_over or isinstance(finding, BeepOver)
            self._found.set()

    async def answered(self, call: Call) -> Answerer:
        """Who it is; nobody, when the call is over before that is clear."""
        while not call.over.is_set():
            if self._detector and self._detector.verdict:
                return self._detector.verdict.by
            await self._next()
        return Answerer.NOBODY

    async def beep_over(self, call: Call) -> bool:
        """Wait for the end of a machine's beep, a minute at most."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LONGEST_GREETING_S):
                while not self._beep_over and not call.over.is_set():
                    await self._next()
        return self._beep_over

    async def _next(self) -> None:
        self._found.clear()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK_S):
                await self._found.wait()
