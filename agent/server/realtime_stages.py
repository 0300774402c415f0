"""What the Realtime protocol adds to a pipeline: its commands, carried out where they belong."""

import asyncio
import contextlib
import json
from collections.abc import Callable, Mapping
from typing import Any

from loguru import logger
from pipecat.adapters.llm.schemas.direct_function import tool_options
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    Frame,
    FunctionCallResultProperties,
    LLMContextFrame,
    LLMUpdateSettingsFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.aggregators.llm_response_universal import LLMAssistantAggregator
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor
from pipecat.services.llm_service import FunctionCallParams
from pipecat.services.settings import LLMSettings

from agent.agent import Agent
from agent.llm.prompt import system_prompt
from agent.processors.dialogue import Dialogue
from agent.processors.frames import EndRequestedFrame
from agent.processors.language import Language
from agent.processors.synthesis import Synthesis
from agent.runtimes import policy_settings
from agent.server.realtime_turns import policy_for
from agent.server.realtime_writing import OnTheSide, Writing, asked_context, without_handler
from agent.session import Models
from agent.settings import TurnSettings
from agent.stage import Stage
from agent.transports.realtime.commands import (
    AddMessage,
    CallResult,
    Configure,
    EndTurn,
    ForgetCall,
    Place,
    Respond,
    Rewrite,
)
from agent.transports.realtime.configuration import ClientTool, Configuration
from agent.transports.realtime.protocol import RealtimeProtocol
from agent.transports.realtime.transport import CommandFrame
from agent.turns.events import TurnPolicy
from agent.turns.switched import SwitchedPolicy

_MOST_WAITING = 64
"""Changes of the context that may wait for a message which is not there yet. It comes within
milliseconds or never; full, the oldest is given up."""


class Stages:
    """The stages of one session, and what they share.

    Attributes:
        policy: Of the session, exchanged when the client wants turns found another way.
    """

    def __init__(
        self,
        protocol: RealtimeProtocol,
        act: Callable[[], None],
        own: Callable[[], TurnPolicy],
        turns: TurnSettings,
    ) -> None:
        """Prepare.

        Args:
            protocol: Of the session.
            act: Called when it may want something.
            own: Makes the agent's own policy.
            turns: The agent's settings.
        """
        self.policy = SwitchedPolicy(own())
        self._protocol = protocol
        self._act = act
        self._own, self._turns = own, turns
        self._calls = ClientCalls(self._on_result)
        self._gate = AnswerGate(self._on_stored)
        self._detection = protocol.settings.turn_detection

    def put_into(self, stages: list[FrameProcessor]) -> list[FrameProcessor]:
        """Return a pipeline's stages with these among them."""
        first, *others = stages
        (dialogue,) = (stage for stage in others if isinstance(stage, Dialogue))
        (aggregator,) = (stage for stage in others if isinstance(stage, LLMAssistantAggregator))
        place = others.index(dialogue)
        voice = next(i for i, stage in enumerate(others) if isinstance(stage, Synthesis))
        context, protocol = aggregator.context, self._protocol
        language = others[voice - 1]
        own = language.request.sampling if isinstance(language, Language) else {}
        on_the_side = OnTheSide(
            context,
            language if hasattr(language, "get_chat_completions") else None,
            protocol.asides,
            self._act,
        )
        return [
            first,
            Adjuster(self._adopt),
            *others[:place],
            self._gate,
            *others[place:voice],
            Writing(lambda: protocol.writes),
            *others[voice:],
            ContextEditor(context, dialogue, self._gate, self._calls, own),
            on_the_side,
        ]

    def _adopt(self, settings: Configuration) -> None:
        detection = settings.turn_detection
        if detection == self._detection:
            return  # What is being said belongs to the turn it began in.
        self._detection = detection
        answers = bool(detection and detection.create_response)
        yields = bool(detection and detection.interrupt_response)
        policy = policy_for(detection, self._own, policy_settings, self._turns)
        self.policy.adopt(policy, answers=answers, yields=yields)
        self._gate.answers = answers

    def _on_stored(self) -> None:
        self._protocol.turn_stored()
        self._act()

    def _on_result(self, call_id: str) -> None:
        self._protocol.result_stored(call_id)
        self._act()


class Adjuster(Stage):
    """Stands behind the transport: turns end, and are found otherwise, where the audio begins."""

    def __init__(self, adopt: Callable[[Configuration], None]) -> None:
        super().__init__()
        self._adopt = adopt

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Act on commands about turns; pass everything else on."""
        await super().process_frame(frame, direction)
        match frame:
            case CommandFrame(command=EndTurn(discard=discard)):
                frame = EndRequestedFrame(discard=discard)
            case CommandFrame(command=Configure(settings=settings)):
                self._adopt(settings)
        await self.push_frame(frame, direction)


class AnswerGate(Stage):
    """Stands behind the user's aggregator: who does not want answers by themselves gets none."""

    def __init__(self, on_stored: Callable[[], None]) -> None:
        super().__init__()
        self._on_stored = on_stored
        self._seen: object = None
        self.answers = True

    def expect(self, context: LLMContext) -> None:
        """The context is about to be answered: asked again, that is no new turn."""
        self._seen = _last(context)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Hold back turns; pass everything else on."""
        await super().process_frame(frame, direction)
        if self.answers or not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
        elif frame.speculation or _last(frame.context) is self._seen:
            if not frame.speculation:
                await self.push_frame(frame, direction)
        else:
            self._seen = _last(frame.context)
            self._on_stored()


class ContextEditor(Stage):
    """Stands at the end, where all that was said and heard is in the context."""

    def __init__(
        self,
        context: LLMContext,
        dialogue: Dialogue,
        gate: AnswerGate,
        calls: "ClientCalls",
        own: Mapping[str, Any],
    ) -> None:
        """Begin.

        Args:
            context: Of the conversation.
            dialogue: Of the session.
            gate: Of the session.
            calls: Of the client's functions.
            own: How the language model is asked where the client says nothing.
        """
        super().__init__()
        self._own = own
        self._context = context
        self._dialogue = dialogue
        self._gate = gate
        self._calls = calls
        self._waiting: list[Rewrite] = []

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Act on commands; pass everything else on."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, CommandFrame):
            if isinstance(frame, LLMContextFrame):
                # The agent's words have entered the context.
                self._rewrite_waiting()
            await self.push_frame(frame, direction)
            return
        match frame.command:
            case Configure(settings=settings):
                await self._configure(settings)
            case AddMessage(message=message, after=after, first=first):
                self._add(dict(message), after, first=first)
            case Rewrite() as rewrite:
                self._waiting = [*self._waiting, rewrite][-_MOST_WAITING:]
                self._rewrite_waiting()
            case ForgetCall(call_id=call_id):
                self._forget_call(call_id)
            case CallResult(call_id=call_id, output=output):
                self._calls.answer(call_id, output)
            case Respond() as respond:
                await self._respond(respond)
            case _:
                await self.push_frame(frame, direction)

    async def _configure(self, settings: Configuration) -> None:
        wanted = {"max_tokens": settings.max_output_tokens, "temperature": settings.temperature}
        # What the client takes back is again as the agent has it.
        limits: dict[str, Any] = {
            name: self._own.get(name) if value is None else value
            for name, value in wanted.items()
            if value is not None or name in self._own
        }
        has_tools = bool(settings.tools or settings.reserved)
        prompt = system_prompt(settings.instructions, has_tools=has_tools)
        delta = LLMSettings(system_instruction=prompt, **limits)
        await self.push_frame(LLMUpdateSettingsFrame(delta=delta), FrameDirection.UPSTREAM)
        tools = [self._calls.schema(tool) for tool in settings.tools]
        await self._dialogue.lend(tools)
        self._context.set_tool_choice(_choice(settings.tool_choice))

    async def _respond(self, respond: Respond) -> None:
        self._rewrite_waiting()
        context = self._context
        tools = context.tools
        if respond.tools is not None:
            tools = ToolsSchema(standard_tools=[self._calls.schema(tool) for tool in respond.tools])
        choice = respond.tool_choice or context.tool_choice
        asked = asked_context(respond, context, tools=tools, tool_choice=choice)
        self._gate.expect(context)
        await self.push_frame(LLMContextFrame(context=asked), FrameDirection.UPSTREAM)

    def _add(self, message: Any, after: Place | None, *, first: bool) -> None:
        messages = list(self._context.messages)
        index = 0 if first else len(messages)
        if after and (found := _find(messages, after)) is not None:
            index = found + 1
        messages.insert(index, message)
        self._context.set_messages(messages)

    def _forget_call(self, call_id: str) -> None:
        kept: list[Any] = []
        for message in self._context.messages:
            told: Any = message
            calls = told.get("tool_calls", ()) if isinstance(told, dict) else ()
            if any(call["id"] == call_id for call in calls):
                others = [call for call in calls if call["id"] != call_id]
                told = {key: value for key, value in told.items() if key != "tool_calls"}
                if others:
                    told["tool_calls"] = others
                elif not told.get("content"):
                    continue
            elif isinstance(told, dict) and told.get("tool_call_id") == call_id:
                continue
            kept.append(told)
        self._context.set_messages(kept)

    def _rewrite_waiting(self) -> None:
        self._waiting = [rewrite for rewrite in self._waiting if not self._rewrite(rewrite)]

    def _rewrite(self, rewrite: Rewrite) -> bool:
        messages: list[Any] = list(self._context.messages)
        index = _find(messages, rewrite.place)
        if index is None:
            logger.debug("a message that shall be changed is not in the context yet")
            return False
        message = messages[index]
        messages[index : index + 1] = [{**message, "content": rewrite.text}] if rewrite.text else []
        self._context.set_messages(messages)
        return True


class ClientCalls:
    """Calls of functions that run at the client. Each waits for its output, which comes once.

    An interruption breaks none off: the client is at work, and what it did shall be known.
    """

    def __init__(self, on_stored: Callable[[str], None]) -> None:
        """Begin without calls.

        Args:
            on_stored: Told the id of a call whose output has entered the context.
        """
        self._on_stored = on_stored
        self._outputs: dict[str, asyncio.Future[str]] = {}

    def answer(self, call_id: str, output: str) -> None:
        """Take the output of a call."""
        future = self._output(call_id)
        if not future.done():
            future.set_result(output)

    def schema(self, tool: ClientTool) -> FunctionSchema:
        """Return a tool as the language model is offered it."""

        async def handler(params: FunctionCallParams) -> None:
            output = await self._output(params.tool_call_id)
            del self._outputs[params.tool_call_id]

            async def stored() -> None:
                self._on_stored(params.tool_call_id)

            # The client says when it wants an answer, with response.create.
            properties = FunctionCallResultProperties(run_llm=False, on_context_updated=stored)
            await params.result_callback(_read(output), properties=properties)

        schema = without_handler(tool)
        return FunctionSchema(
            name=schema.name,
            description=schema.description,
            properties=schema.properties,
            required=schema.required,
            handler=tool_options(handler, cancel_on_interruption=False),
        )

    def _output(self, call_id: str) -> "asyncio.Future[str]":
        if call_id not in self._outputs:
            self._outputs[call_id] = asyncio.get_running_loop().create_future()
        return self._outputs[call_id]


def configuration(agent: Agent, models: Models) -> Configuration:
    """Return the settings a session begins with: the agent's own."""
    voice = models.voice.name.rpartition("/")[2]
    return Configuration(
        model=agent.name,
        instructions=agent.instructions,
        voice=voice,
        voices=frozenset({voice}),
        reserved=frozenset(tool.name for tool in agent.tools),
        transcription={"model": models.names.get("asr", "")},
    )


def _find(messages: list[LLMContextMessage], place: Place) -> int | None:
    later = place.later
    for index in range(len(messages) - 1, -1, -1):
        message = messages[index]
        if not isinstance(message, dict) or message.get("role") != place.role:
            continue
        if message.get("content") == place.text:
            if not later:
                return index
            later -= 1
    return None


def _last(context: LLMContext) -> object:
    """Return the user's last message, whatever came after it."""
    turns = [m for m in context.messages if isinstance(m, dict) and m.get("role") == "user"]
    return turns[-1] if turns else None


def _choice(choice: Any) -> Any:
    if isinstance(choice, dict):
        return {"type": "function", "function": {"name": choice["name"]}}
    return choice


def _read(output: str) -> Any:
    """Return an output as the model shall see it: never empty, which Pipecat takes for none."""
    with contextlib.suppress(ValueError, RecursionError):
        return json.loads(output) or {"result": json.loads(output)}
    return output or "done"
