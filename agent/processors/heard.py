"""What was heard of an answer, told to all who must know."""

from collections.abc import Awaitable, Callable
from typing import Any

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection

from agent.audio.audible import onset_s
from agent.audio.chunk import Int16Array
from agent.observe.mask import without_cards
from agent.observe.record import TurnRecorder
from agent.playout.ledger import Ledger
from agent.processors.frames import AgentSpeechFrame, ClientEventFrame, HeardWordsFrame

Push = Callable[..., Awaitable[None]]
"""`FrameProcessor.push_frame` of the one who plays."""


class HeardAnswer:
    """Tells the context, the page, the record and the turn policy which words were heard."""

    def __init__(self, ledger: Ledger, recorder: TurnRecorder, push: Push) -> None:
        self._ledger = ledger
        self._recorder = recorder
        self._push = push
        self._turn = 0
        self._is_heard = False
        self.is_speaking = False
        """From the first packet of an answer to its end or cut."""

    def begin(self) -> None:
        """What is heard from now on answers the current turn."""
        self._turn = self._recorder.current.turn
        self._is_heard = False

    def packet_sounds(self, packet: Int16Array, sample_rate: int) -> None:
        """A packet begins to sound: the answer is heard from its first audible sample on."""
        if self._is_heard or self._turn != self._recorder.current.turn:
            return
        in_s = onset_s(packet, sample_rate)
        if in_s is not None:
            self._is_heard = True
            self._recorder.mark("first_audio", in_s=in_s)

    async def heard_until(self, position: int) -> None:
        """Tell the words that have sounded up to a playout position."""
        words = self._ledger.heard_until(position)
        if not words:
            return
        await self._push(HeardWordsFrame(text=" ".join(words)))
        await self.tell_floor()
        await self._show(final=False, interrupted=False)

    async def close(self, *, interrupted: bool) -> None:
        """The answer is over."""
        record = self._recorder.current
        if self._turn == record.turn:
            record.answered = without_cards(self._ledger.heard_text)
            record.interrupted = interrupted
            self._recorder.mark("answer_end")
        await self._show(final=True, interrupted=interrupted)
        await self._tell({"type": "turn", "turn": record.turn, "stages": record.stages()})
        self.is_speaking = False

    async def tell_floor(self) -> None:
        """Tell those who judge what is said over us."""
        frame: Frame = AgentSpeechFrame(
            is_speaking=self.is_speaking,
            said=self._ledger.heard_text,
            unsaid=self._ledger.unheard_text,
        )
        await self._push(frame, FrameDirection.UPSTREAM)

    async def _show(self, *, final: bool, interrupted: bool) -> None:
        event: dict[str, Any] = {
            "type": "transcript",
            "role": "assistant",
            "text": self._ledger.heard_text,
            "final": final,
            "turn": self._turn,
        }
        if interrupted:
            event["interrupted"] = True
        await self._tell(event)

    async def _tell(self, event: dict[str, Any]) -> None:
        await self._push(ClientEventFrame(event=event))
