"""Who answers the caller's turn: the language model, a question that is open, or nobody."""

import asyncio
from typing import Any

from loguru import logger
from pipecat.adapters.llm.schemas.function_schema import FunctionSchema
from pipecat.adapters.llm.schemas.tools_schema import ToolsSchema
from pipecat.frames.frames import (
    BotStartedSpeakingFrame,
    BotStoppedSpeakingFrame,
    EagerEndOfTurnCancelFrame,
    EndWorkerFrame,
    Frame,
    InterruptionFrame,
    LLMContextFrame,
    LLMSetToolsFrame,
    LLMUpdateSettingsFrame,
    StartFrame,
    SystemFrame,
    TTSSpeakFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext, LLMContextMessage
from pipecat.processors.frame_processor import FrameDirection
from pipecat.services.settings import LLMSettings
from pipecat.turns.speculation_gate import SpeculationGate

from agent.agent import Agent
from agent.conversation import Call, Conversation
from agent.errors import DegradedError, DuplexError
from agent.llm.correction import correct
from agent.llm.prompt import system_prompt
from agent.observe.hidden import Hidden
from agent.processors.frames import (
    MORE_FOLLOWS,
    ClientEventFrame,
    CorrectionFrame,
    ExpectationFrame,
    ReadAheadFrame,
    WordsSoFarFrame,
)
from agent.processors.tools import ToolCalls
from agent.stage import Stage
from agent.tools.declaration import Tool
from agent.tools.mcp import Connection
from agent.values import Expects

_CORRECTIONS = 3
"""That wait for their words at most: those of a turn that never was are not waited for."""


class Dialogue(Stage):
    """Stands before the language model and lets through what it shall answer.

    While a flow or a tool waits for an answer, the caller's turn goes there. It is the `Floor`
    of the session's `Conversation`, and it makes the agent's tools callable.

    Args:
        agent: Who talks.
        context: The conversation, shared with the aggregators.
        call: The telephone call, if it is one.
        hidden: Keeps what the user says as a secret.
    """

    def __init__(
        self,
        agent: Agent,
        context: LLMContext,
        *,
        call: Call | None = None,
        hidden: Hidden | None = None,
    ) -> None:
        super().__init__()
        self._context = context
        self._call = call
        self._hidden = hidden or Hidden()
        self.conversation: Conversation[Any] = Conversation(self, call=call)
        self._tools = ToolCalls(self.conversation, self._hand_over)
        self._verdict = SpeculationGate(name="dialogue")
        self._guess: str | None = None
        self._answer: asyncio.Future[str] | None = None
        self._patience: asyncio.Timeout | None = None
        self._patience_s = 0.0
        self._user_speaks = self._agent_speaks = False
        self._turns_seen = 0
        self._brief = ""
        self._corrections: list[CorrectionFrame] = []
        self._flow: asyncio.Task[None] | None = None
        self._lent: list[FunctionSchema] = []
        self._remote: list[Tool] = []
        self._fetching: asyncio.Task[None] | None = None
        self._connections: list[Connection] = []
        self._adopt(agent)

    @property
    def agent(self) -> Agent:
        """Who talks now."""
        return self._agent

    @property
    def is_listening(self) -> bool:
        """Whether a step or a tool waits for the caller's next turn."""
        return self._answer is not None

    def begin(self) -> None:
        """Start the agent's flow, if it has one."""
        if self._agent.flow:
            self._flow = self.create_task(self._run_flow())

    async def lend(self, tools: list[FunctionSchema]) -> None:
        """Offer these besides the agent's own tools, in place of those lent before."""
        self._lent = tools
        self._show_tools()
        await self.push_frame(LLMSetToolsFrame(tools=self._context.tools))

    async def cleanup(self) -> None:
        """Stop the flow; tools that must finish do."""
        await super().cleanup()
        if self._flow:
            await self.cancel_task(self._flow)
            self._flow = None
        if self._fetching:
            await self.cancel_task(self._fetching)
            self._fetching = None
        await self._tools.finish()
        for connection in self._connections:
            await connection.close()
        self._connections.clear()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Hold back turns that are not the language model's to answer."""
        await super().process_frame(frame, direction)
        if isinstance(frame, LLMContextFrame) and direction is FrameDirection.DOWNSTREAM:
            await self._on_context(frame)
            return
        match frame:
            case WordsSoFarFrame():
                await self._read_ahead(frame.text)
                return
            case BotStartedSpeakingFrame() | BotStoppedSpeakingFrame():
                self._agent_speaks = isinstance(frame, BotStartedSpeakingFrame)
                self._reset_patience()
            case CorrectionFrame():
                self._corrections.append(frame)
                self._correct()
            case ClientEventFrame(event={"type": "floor", "user": user}):
                self._user_speaks = user == "speaking"
                self._reset_patience()
        await self.push_frame(frame, direction)
        if isinstance(frame, StartFrame):
            await self._offer_tools()
        if isinstance(frame, SystemFrame) and direction is FrameDirection.DOWNSTREAM:
            self._on_verdict(frame)

    # The floor of the conversation.

    async def say(self, text: str, *, more_follows: bool = False) -> None:
        """Speak after what is already being said."""
        line = TTSSpeakFrame(text)
        if more_follows:
            line.metadata[MORE_FOLLOWS] = True
        await self.push_frame(line)

    async def listen(self, patience_s: float, expects: Expects) -> str | None:
        """Take the caller's next turn."""
        self._answer = asyncio.get_running_loop().create_future()
        self._patience_s = patience_s
        expectation = ExpectationFrame(
            profile=expects.profile,
            digits=expects.digits,
            secret=expects.secret,
            private=expects.private or expects.secret,
        )
        await self.push_frame(expectation, FrameDirection.UPSTREAM)
        if expects.secret:
            self._hide(True)
        try:
            async with asyncio.timeout(None) as self._patience:
                self._reset_patience()
                return await self._answer
        except TimeoutError:
            return None
        finally:
            self._answer = self._patience = None
            self._brief = ""
            if expects.secret:
                self._hide(False)
            await self.push_frame(ExpectationFrame(), FrameDirection.UPSTREAM)

    def _hide(self, hidden: bool) -> None:
        """Keep what is said from transcripts, records and recordings, or no longer."""
        if hidden:
            self._hidden.open()
        else:
            self._hidden.close()
        if self._call:
            self._call.hears_secret = hidden

    async def improvise(self, brief: str) -> None:
        """Let the language model say the next line."""
        self._brief = brief
        await self._ask_model()

    async def end(self) -> None:
        """End the call behind what is being said."""
        await self.push_frame(EndWorkerFrame(), FrameDirection.UPSTREAM)

    async def hush(self) -> None:
        """Stop what is being said."""
        if self._agent_speaks:
            await self.broadcast_interruption()

    async def transfer(self, destination: str, briefing: str) -> None:
        """Hand the call to another line.

        Raises:
            DegradedError: The channel cannot.
        """
        if self._call is None:
            raise DegradedError("this channel cannot transfer calls")
        await self._call.transfer(destination, briefing=briefing)

    # Turns.

    async def _on_context(self, frame: LLMContextFrame) -> None:
        if not frame.speculation:
            self._correct()
        text, count = _last_turn(frame.context)
        is_new = frame.speculation or count > self._turns_seen
        if not is_new and self._brief:
            await self._ask_model()  # A failed request for the brief is made again.
            return
        if not self._is_held:
            self._brief = ""
            self._turns_seen = max(count, self._turns_seen)
            self._tools.turn_began()
            await self.push_frame(frame)
            return
        self._verdict.begin_speculation(frame.speculation)
        if self._verdict.is_speculating:
            self._guess = text
        elif is_new:
            self._turns_seen = count
            self._take(text)

    async def _read_ahead(self, text: str) -> None:
        """Let the language model read what it is going to be asked while it is being said."""
        if not self._is_held:
            said: LLMContextMessage = {"role": "user", "content": text}
            asked = LLMContext(messages=[*self._context.messages, said])
            await self.push_frame(ReadAheadFrame(context=asked))

    def _correct(self) -> None:
        """Remember better words, once those that they replace are in the conversation."""
        self._corrections = [
            correction
            for correction in self._corrections[-_CORRECTIONS:]
            if not correct(self._context.messages, correction.replaced, correction.text)
        ]

    @property
    def _is_held(self) -> bool:
        """Whether the language model shall not answer."""
        return bool(self._answer or self._flow)

    def _on_verdict(self, frame: Frame) -> None:
        """Take a turn that was only guessed to be over once it is."""
        was_speculating = self._verdict.is_speculating
        self._verdict.process(frame, FrameDirection.DOWNSTREAM)
        if not was_speculating or self._verdict.is_speculating:
            return
        guess, self._guess = self._guess, None
        if guess is not None and not _withdraws(frame):
            # Its message is about to enter the context.
            self._turns_seen += 1
            self._take(guess)

    def _take(self, text: str) -> None:
        if self._answer and not self._answer.done():
            self._answer.set_result(self._hidden.reveal(text))

    async def _ask_model(self) -> None:
        brief: LLMContextMessage = {"role": "system", "content": self._brief}
        asked = LLMContext(messages=[*self._context.messages, brief])
        await self.push_frame(LLMContextFrame(context=asked))

    def _reset_patience(self) -> None:
        """Let silence count from now, and not while anybody speaks."""
        if self._patience is None or self._patience.expired():
            return
        if self._user_speaks or self._agent_speaks:
            self._patience.reschedule(None)
        else:
            self._patience.reschedule(asyncio.get_running_loop().time() + self._patience_s)

    # The agent.

    def _adopt(self, agent: Agent) -> None:
        self._agent, self._remote = agent, []
        self._show_tools()

    def _show_tools(self) -> None:
        """Put into the context whatever can be called now."""
        own = self._tools.schemas([*self._agent.tools, *self._remote]).standard_tools
        self._context.set_tools(ToolsSchema(standard_tools=[*own, *self._lent]))

    async def _offer_tools(self) -> None:
        """Tell the language model what it can do; of servers, as soon as they have answered."""
        if self._agent.tools or self._lent:
            await self.push_frame(LLMSetToolsFrame(tools=self._context.tools))
        if self._agent.servers:
            self._fetching = self.create_task(self._fetch_tools(self._agent))

    async def _fetch_tools(self, agent: Agent) -> None:
        tools: list[Tool] = []
        for server in agent.servers:
            try:
                connection = server.connect()
                self._connections.append(connection)
                tools += await connection.tools()
            except DuplexError as error:
                logger.error("this conversation goes on with fewer tools: {}", error)
        if agent is self._agent:
            self._remote = tools
            self._show_tools()
            await self.push_frame(LLMSetToolsFrame(tools=self._context.tools))

    async def _hand_over(self, agent: Agent) -> None:
        """Let another agent go on; it sees the same conversation."""
        logger.info("{} hands over to {}", self._agent.name, agent.name)
        self._adopt(agent)
        has_tools = bool(agent.has_tools or self._lent)
        prompt = system_prompt(agent.instructions, has_tools=has_tools)
        await self.push_frame(LLMUpdateSettingsFrame(delta=LLMSettings(system_instruction=prompt)))
        await self._offer_tools()
        await self.conversation.say(agent.greeting)
        self.begin()

    async def _run_flow(self) -> None:
        assert self._agent.flow
        following = await self._agent.flow.run(self.conversation)
        self._flow = None
        if following:
            await self.conversation.say(following.announcement)
            await self._hand_over(following.agent)


def _withdraws(frame: Frame) -> bool:
    return isinstance(frame, (EagerEndOfTurnCancelFrame, InterruptionFrame))


def _last_turn(context: LLMContext) -> tuple[str, int]:
    """Return what the caller said last, and how many turns they have had."""
    turns = [
        message
        for message in context.messages
        if isinstance(message, dict) and message.get("role") == "user"
    ]
    content = turns[-1].get("content") if turns else ""
    return (content if isinstance(content, str) else ""), len(turns)
