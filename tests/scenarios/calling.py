"""A scripted language model that calls tools, and a call with an agent on virtual time."""

import asyncio
from dataclasses import dataclass
from typing import Any

from pipecat.frames.frames import (
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
)
from pipecat.processors.aggregators import async_tool_messages
from pipecat.services.llm_service import FunctionCallFromLLM

from tests.scenarios.fakes import ScriptedLanguage


@dataclass
class Calls:
    """A line of the language model's: these tools, with these arguments."""

    tools: dict[str, Any]


class CallingLanguage(ScriptedLanguage):
    """Says its lines in order; a line may be a call of tools."""

    def __init__(self, lines: list[Any], first_token_s: float = 0.1) -> None:
        super().__init__([], first_token_s)
        self._script = list(lines)
        self._made = 0

    async def process_frame(self, frame, direction):
        if not (isinstance(frame, LLMContextFrame) and self._script):
            await super().process_frame(frame, direction)
            return
        if not isinstance(self._script[0], Calls):
            self._lines.append(self._script.pop(0))
            await super().process_frame(frame, direction)
            return
        # What the service's own process_frame does besides answering: gate and handlers.
        await super(ScriptedLanguage, self).process_frame(frame, direction)
        self.asked.append([dict(message) for message in frame.context.messages])
        await self.push_frame(LLMFullResponseStartFrame())
        try:
            await asyncio.sleep(self._first_token_s)
            # A guess that is still open will be withdrawn, and the call asked for again.
            keep = self._speculation_gate.is_speculating
            calls = self._script[0] if keep else self._script.pop(0)
            await self.run_function_calls(
                [self._call(frame, *call) for call in calls.tools.items()]
            )
        finally:
            await self.push_frame(LLMFullResponseEndFrame())

    def _call(self, frame, name, arguments):
        self._made += 1
        return FunctionCallFromLLM(
            context=frame.context,
            tool_call_id=f"call-{self._made}",
            function_name=name,
            arguments=arguments,
        )


def results(history: list[dict]) -> dict[str, list[Any]]:
    """Every final result in a context, by the id of its call."""
    calls = [call["id"] for message in history for call in message.get("tool_calls") or ()]
    found: dict[str, list[Any]] = {call: [] for call in calls}
    for message in history:
        payload = async_tool_messages.parse_message(message)
        if payload is not None:
            if payload.kind == "final":
                found[payload.tool_call_id].append(payload.result)
        elif message["role"] == "tool" and message["content"] != "IN_PROGRESS":
            found[message["tool_call_id"]].append(message["content"])
    return found


def said(history: list[dict]) -> list[str]:
    return [m["content"] for m in history if m["role"] == "assistant" and m.get("content")]
