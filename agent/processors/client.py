"""What the client asks for, and what it is shown."""

from collections.abc import Callable

from pipecat.frames.frames import (
    CancelWorkerFrame,
    Frame,
    FunctionCallResultFrame,
    InputTransportMessageFrame,
    LLMMessagesAppendFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.processors.frame_processor import FrameDirection

from agent.observe.mask import without_cards
from agent.observe.record import TurnRecorder
from agent.processors.frames import ClientEventFrame, EndRequestedFrame, PrivacyFrame
from agent.processors.listening import Listening
from agent.stage import Stage

_MAX_TYPED = 4000
"""Characters of typed input taken; the embedded model's context holds little more."""

BASIC_EVENTS = frozenset({"clear", "transcript"})
"""What a program on the plain stream is sent, unless it asks for all events."""


class ClientControl(Stage):
    """Acts on the client's messages. What it does not know is ignored: it may be newer than we."""

    def __init__(self, listening: Listening, recorder: TurnRecorder) -> None:
        super().__init__(enable_direct_mode=True)  # Waits for nothing: see `processors`.
        self._listening = listening
        self._recorder = recorder

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Act on messages; pass everything on."""
        await super().process_frame(frame, direction)
        await self.push_frame(frame, direction)
        if isinstance(frame, InputTransportMessageFrame) and isinstance(frame.message, dict):
            await self._on_message(frame.message)

    async def _on_message(self, message: dict[str, object]) -> None:
        match message:
            case {"type": "text", "text": str(text)} if text.strip():
                await self._on_typed(text.strip()[:_MAX_TYPED])
            case {"type": "interrupt"}:
                await self.broadcast_interruption()
            case {"type": "push_to_talk", "down": False}:
                await self.push_frame(EndRequestedFrame())
            case {"type": "end"}:
                # A connection that only breaks would be waited for.
                await self.push_frame(CancelWorkerFrame(), FrameDirection.UPSTREAM)
            case {"type": "mute", "muted": bool(muted)}:
                self._listening.muted = muted
            case {"type": "privacy", "private": bool(private)}:
                await self.push_frame(PrivacyFrame(is_private=private))

    async def _on_typed(self, text: str) -> None:
        await self.broadcast_interruption()
        self._recorder.begin(text=text, start=None, end=0, decision={"kind": "TYPED"})
        # Typed input ends when it arrives.
        self._recorder.current.marks["speech_end"] = self._recorder.now_s()
        event: dict[str, object] = {
            "type": "transcript",
            "role": "user",
            "text": text,
            "final": True,
            "turn": self._recorder.current.turn,
        }
        await self.push_frame(ClientEventFrame(event=event))
        await self.push_frame(
            LLMMessagesAppendFrame(messages=[{"role": "user", "content": text}], run_llm=True)
        )


class ClientEvents(Stage):
    """Sends events to the client: all of them, or those of the plain stream.

    Args:
        basic: Only those of the plain stream.
        watch: Told of every event, sent or not, and of what tools gave. An observer of Pipecat's
            would be woken for each of a call's 200 frames a second.
    """

    def __init__(self, *, basic: bool, watch: Callable[[Frame], None] = lambda frame: None) -> None:
        super().__init__(enable_direct_mode=True)  # Waits for nothing: see `processors`.
        self._basic = basic
        self._watch = watch

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Turn events into transport messages; pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, ClientEventFrame | FunctionCallResultFrame):
            self._watch(frame)
        if not isinstance(frame, ClientEventFrame):
            await self.push_frame(frame, direction)
        elif not self._basic or frame.event.get("type") in BASIC_EVENTS:
            event = {
                key: without_cards(value) if isinstance(value, str) else value
                for key, value in frame.event.items()
            }
            await self.push_frame(OutputTransportMessageUrgentFrame(message=event))
