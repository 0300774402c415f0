"""A typed conversation with an agent: its tools, flows and memory, in milliseconds.

The whole pipeline runs, on virtual time; only ears and voice are scripted. The language model is
scripted too, or a real one.
"""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from types import TracebackType
from typing import Any

from pipecat.processors.frame_processor import FrameProcessor

from agent.agent import Agent
from agent.conversation import Call
from agent.errors import DuplexError
from agent.eval import memory
from agent.eval.scripted import VOICE_RATE, Line, ScriptedLanguage, models
from agent.session import Channel, VoiceSession, close
from agent.settings import Settings
from agent.transports.memory import MemoryTransport
from agent.virtual_time import VirtualLoop

_LOOK_S = 0.05
_REST_S = 1.0
"""Nothing said and nothing asked for so long: the agent waits for the caller."""

_LONGEST_S = 120.0
"""Of one answer with all its calls, on the virtual clock."""


class NoAnswerError(DuplexError, AssertionError):
    """The agent went on and on, or a call was never made."""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A tool that was called.

    Attributes:
        name: The tool's.
        arguments: As JSON text, as the model wrote them.
        results: What entered the context; one, as it should be.
    """

    name: str
    arguments: str
    results: list[Any]


@dataclass(frozen=True, slots=True)
class Reply:
    """What the agent did between two turns of the caller.

    Attributes:
        text: All it said, as it was heard.
        calls: The tools it called, in order.
    """

    text: str
    calls: list[ToolCall] = field(default_factory=list)

    def tool(self, name: str) -> ToolCall:
        """Return the call of a tool.

        Raises:
            NoAnswerError: It was not called.
        """
        for call in self.calls:
            if call.name == name:
                return call
        made = ", ".join(call.name for call in self.calls) or "none"
        raise NoAnswerError(f"{name} was not called; calls: {made}")


class TextCall:
    """One typed conversation; a context manager.

    Args:
        agent: Who talks.
        says: The language model's lines, words or `Calls`; each request takes one.
        language: Makes a real language model's service instead, given the system prompt.
        settings: Every knob.
        call: The telephone call it is to be; None for none.
    """

    def __init__(
        self,
        agent: Agent,
        says: Sequence[Line] = (),
        *,
        language: Callable[[str], FrameProcessor] | None = None,
        settings: Settings | None = None,
        call: Call | None = None,
    ) -> None:
        scripted: list[ScriptedLanguage] = []

        def make(_prompt: str) -> FrameProcessor:
            scripted.append(ScriptedLanguage(says, first_token_s=0.0))
            return scripted[0]

        self._scripted = scripted
        self._agent = agent
        self._language = language or make
        self._settings = settings or Settings()
        self._telephone = call
        self._seen = 0

    @property
    def messages(self) -> list[dict[str, Any]]:
        """The context: what the agent remembers."""
        return [dict(message) for message in self._session.context.messages]  # type: ignore[arg-type]

    @property
    def asked(self) -> list[list[dict[str, Any]]]:
        """The messages of every request to the scripted model."""
        return self._scripted[0].asked if self._scripted else []

    def __enter__(self) -> "TextCall":
        self._loop = VirtualLoop()
        self._virtual = self._loop.virtual()
        self._virtual.__enter__()
        self._loop.run_until_complete(self._begin())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        try:
            self._loop.run_until_complete(close(self._session, self._task, drain_s=1.0))
        finally:
            self._virtual.__exit__(kind, error, trace)
            self._loop.close()

    def greet(self) -> Reply:
        """Let the agent speak first, and begin its flow."""
        return self._loop.run_until_complete(self._reply_to(self._session.greet()))

    def say(self, text: str) -> Reply:
        """Say something; return what the agent did until it waits again."""
        typed = {"type": "text", "text": text}
        return self._loop.run_until_complete(self._reply_to(self._transport.input().send(typed)))

    async def _begin(self) -> None:
        self._transport = MemoryTransport()
        self._session = VoiceSession(
            self._settings,
            models(self._language),
            self._transport,
            Channel("text", VOICE_RATE, delay_s=0.0),
            agent=self._agent,
            call=self._telephone,
            clock=self._loop.time,
        )
        self._task = self._loop.create_task(self._session.run())
        await self._transport.input().ready.wait()

    async def _reply_to(self, act: Any) -> Reply:
        await act
        loop, busy_at = self._loop, self._loop.time()
        began, size = busy_at, len(self.messages)
        while loop.time() - busy_at < _REST_S and not self._task.done():
            await asyncio.sleep(_LOOK_S)
            messages = self.messages
            if not self._session.is_idle or len(messages) != size or _is_waited_for(messages):
                busy_at, size = loop.time(), len(messages)
            if loop.time() - began > _LONGEST_S:
                raise NoAnswerError(f"the agent did not come to rest within {_LONGEST_S:g} s")
        new, self._seen = self.messages[self._seen :], size
        found = memory.results(self.messages)
        calls = [ToolCall(*call, found[id_]) for id_, call in memory.calls(new).items()]
        return Reply(" ".join(memory.said(new)), calls)


def _is_waited_for(messages: list[dict[str, Any]]) -> bool:
    """Whether a call has no result yet, or the caller's last words no answer."""
    results = memory.results(messages)
    return any(not found for found in results.values())
