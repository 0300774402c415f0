"""Answers in text: written past the voice, or asked of the language model on the side."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import openai
from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    Frame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
    UserStoppedSpeakingFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.errors import DegradedError
from agent.llm.draft import Draft
from agent.processors.frames import (
    BROKEN_OFF,
    MORE_FOLLOWS,
    AgentSpeechFrame,
    DraftStartFrame,
    LanguageFailureFrame,
)
from agent.processors.language import OneAnswer
from agent.stage import Stage
from agent.transports.realtime.commands import CancelAside, Respond, RespondAside
from agent.transports.realtime.configuration import ClientTool
from agent.transports.realtime.transport import CommandFrame, WrittenEndFrame, WrittenFrame


class Writing(Stage):
    """Stands behind the language model: what the client wants to read goes past the voice.

    A draft waits here until its turn has ended, as a spoken one does at the loudspeaker. To the
    turn policy the agent speaks while it writes, so that a caller may interrupt.
    """

    def __init__(self, writes: Callable[[], bool]) -> None:
        """Begin.

        Args:
            writes: Whether what the agent says next is to be written.
        """
        super().__init__()
        self._writes = writes
        self._is_writing = self._is_telling = False
        self._draft: Draft | None = None
        self._held: list[Frame] = []
        self._failure = ""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Take answers that are to be written; pass everything else on."""
        await super().process_frame(frame, direction)
        if direction is FrameDirection.UPSTREAM:
            await self.push_frame(frame, direction)
            return
        match frame:
            case LLMFullResponseStartFrame():
                self._is_writing = self._writes()
                self._draft = frame.draft if isinstance(frame, DraftStartFrame) else None
                self._held, self._failure = [], ""
                if not self._is_writing:
                    await self.push_frame(frame)
            case LLMTextFrame() if self._is_writing:
                await self._tell([WrittenFrame(text=frame.text)])
            case LanguageFailureFrame() if self._is_writing:
                self._failure = f"the language model failed: {frame.failure}"
            case LLMFullResponseEndFrame() if self._is_writing:
                if BROKEN_OFF not in frame.metadata:
                    await self._tell([WrittenEndFrame(failure=self._failure)])
            case TTSSpeakFrame() if self._writes():
                bridges = bool(frame.metadata.get(MORE_FOLLOWS))
                await self._show([WrittenFrame(text=frame.text), WrittenEndFrame(bridges)])
            case _:
                if isinstance(frame, InterruptionFrame):
                    await self._fall_silent()
                await self.push_frame(frame)
                if isinstance(frame, UserStoppedSpeakingFrame | EagerEndOfTurnCancelFrame):
                    await self._tell([])

    async def _tell(self, frames: Sequence[Frame]) -> None:
        """Let an answer out, once it is sure that it is one."""
        self._held += frames
        if self._draft and self._draft.is_pending:
            return
        held, self._held = self._held, []
        if not (self._draft and self._draft.is_withdrawn):
            await self._show(held)

    async def _show(self, frames: Sequence[Frame]) -> None:
        for frame in frames:
            if not self._is_telling:
                self._is_telling = True
                await self._tell_floor()
            await self.push_frame(frame)
            if isinstance(frame, WrittenEndFrame):
                await self._fall_silent()

    async def _fall_silent(self) -> None:
        self._held = []
        if self._is_telling:
            self._is_telling = False
            await self._tell_floor()

    async def _tell_floor(self) -> None:
        speech = AgentSpeechFrame(is_speaking=self._is_telling)
        await self.push_frame(speech, FrameDirection.UPSTREAM)


@dataclass
class _Call:
    name: str = ""
    call_id: str = ""
    arguments: str = ""

    def add(self, part: Any) -> None:
        """Take the next piece of it."""
        self.call_id = part.id or self.call_id
        if part.function:
            self.name = part.function.name or self.name
            self.arguments += part.function.arguments or ""


class AsideListener(Protocol):
    """Who is told of answers on the side."""

    def wrote(self, response_id: str, text: str) -> None:
        """A piece of the text."""

    def called(self, response_id: str, name: str, call_id: str, arguments: str) -> None:
        """A function that the client is to run."""

    def ended(self, response_id: str, failure: str = "") -> None:
        """All is told; or why not."""


class OnTheSide(Stage):
    """Asks the language model what the client wants to know besides: nothing of it is remembered.

    It stands at the end, where all that was said is in the context.
    """

    def __init__(
        self,
        context: LLMContext,
        language: FrameProcessor | None,
        listener: AsideListener,
        act: Callable[[], None],
    ) -> None:
        """Begin.

        Args:
            context: Of the conversation.
            language: The service of an OpenAI-compatible server; None where there is none.
            listener: Is told.
            act: Called when the client is to be told.
        """
        super().__init__()
        self._context = context
        self._language: Any = language
        self._listener = listener
        self._act = act
        self._asking: dict[str, asyncio.Task[None]] = {}

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Act on commands about such answers; pass everything else on."""
        await super().process_frame(frame, direction)
        match frame:
            case CommandFrame(command=RespondAside() as aside):
                asking = self.create_task(self._ask(aside))
                self._asking[aside.response_id] = asking
                asking.add_done_callback(lambda _: self._asking.pop(aside.response_id, None))
            case CommandFrame(command=CancelAside(response_id=response_id)):
                if task := self._asking.get(response_id):
                    await self.cancel_task(task)
            case _:
                await self.push_frame(frame, direction)

    async def cleanup(self) -> None:
        """Ask no more."""
        await super().cleanup()  # type: ignore[no-untyped-call]
        for asking in list(self._asking.values()):
            await self.cancel_task(asking)

    async def _ask(self, aside: RespondAside) -> None:
        failure = ""
        try:
            await self._listen(aside)
        except (openai.APIError, TimeoutError) as error:
            logger.warning("an answer on the side failed: {}", type(error).__name__)
            failure = f"the language model failed: {type(error).__name__}"
        except DegradedError as error:
            failure = str(error)
        self._listener.ended(aside.response_id, failure)
        self._act()

    async def _listen(self, aside: RespondAside) -> None:
        if self._language is None:
            raise DegradedError("this agent's language model answers in the conversation only")
        calls: dict[int, _Call] = {}
        async for chunk in await self._language.get_chat_completions(self._asked(aside.respond)):
            for delta in (option.delta for option in chunk.choices[:1] if option.delta):
                if delta.content:
                    self._listener.wrote(aside.response_id, delta.content)
                    self._act()
                for part in delta.tool_calls or ():
                    calls.setdefault(part.index, _Call()).add(part)
        for call in calls.values():
            self._listener.called(
                aside.response_id, call.name, call.call_id, call.arguments or "{}"
            )

    def _asked(self, respond: Respond) -> LLMContext:
        if not respond.tools:
            return asked_context(respond, self._context)
        schemas = [without_handler(tool) for tool in respond.tools]
        return asked_context(
            respond,
            self._context,
            tools=ToolsSchema(standard_tools=schemas),
            tool_choice=respond.tool_choice or "auto",
        )


def asked_context(respond: Respond, conversation: LLMContext, **tools: Any) -> LLMContext:
    """Return what is to be answered: what the client gave, or the conversation."""
    given: Sequence[Any] = conversation.messages
    if respond.messages is not None:
        given = respond.messages
    messages: list[Any] = list(given)
    if not messages:
        # Many servers answer nothing but a user.
        messages.append({"role": "user", "content": respond.instructions or "Say something."})
    elif respond.instructions:
        messages.append({"role": "system", "content": respond.instructions})
    return OneAnswer(
        messages,
        is_other=respond.messages is not None,
        max_tokens=respond.max_output_tokens,
        **tools,
    )


def without_handler(tool: ClientTool) -> FunctionSchema:
    """Return a tool as the language model is offered it; nothing of it runs here."""
    return FunctionSchema(
        name=tool.name,
        description=tool.description,
        properties=dict(tool.parameters.get("properties", {})),
        required=list(tool.parameters.get("required", [])),
    )
