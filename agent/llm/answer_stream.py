"""An answer as it streams in: not for ever, and with calls that a small model wrote as text."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from typing import Any

from openai.types.chat import ChatCompletionChunk
from openai.types.chat.chat_completion_chunk import (
    Choice,
    ChoiceDelta,
    ChoiceDeltaToolCall,
    ChoiceDeltaToolCallFunction,
)

from agent.llm.calls import CallReader
from agent.llm.fallback import FallbackSettings


class Deadlines:
    """A stream of chunks that must not stop for long."""

    def __init__(
        self,
        stream: Any,
        patience: FallbackSettings,
        opening: ChatCompletionChunk | None = None,
    ) -> None:
        self._stream = stream
        self._patience = patience
        self._opening = opening

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        chunks = self._stream.__aiter__()
        limit_s = self._patience.answer_s
        if self._opening:
            yield self._opening
            limit_s = self._patience.stall_s
        while True:
            async with asyncio.timeout(limit_s):
                chunk = await anext(chunks, None)
            if chunk is None:
                return
            yield chunk
            limit_s = self._patience.stall_s

    async def close(self) -> None:
        """Hang up."""
        await self._stream.close()


class WithWrittenCalls:
    """A stream of chunks in which calls that were written as text have become calls."""

    def __init__(self, stream: Any, reader: CallReader) -> None:
        self._stream = stream
        self._reader = reader

    async def __aiter__(self) -> AsyncIterator[ChatCompletionChunk]:
        chunk = None
        async for chunk in self._stream:
            for choice in chunk.choices:
                if choice.delta.content:
                    choice.delta.content = self._reader.push(choice.delta.content)
            yield chunk
        if chunk is None:
            return
        for index, call in enumerate(self._reader.finish()):
            made = ChoiceDeltaToolCall(
                index=index,
                id=f"call-{uuid.uuid4().hex[:12]}",
                function=ChoiceDeltaToolCallFunction(
                    name=call.name, arguments=json.dumps(call.arguments)
                ),
            )
            delta = Choice(index=0, delta=ChoiceDelta(tool_calls=[made]))
            yield chunk.model_copy(update={"choices": [delta], "usage": None})

    async def close(self) -> None:
        """Hang up."""
        await self._stream.close()
