"""An OpenAI-compatible language model whose answers are written down, for conversations that must
go the same way every time: what is tested is all the rest."""

import asyncio
import json
from collections.abc import Callable
from typing import Any

from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """An answer that calls a function."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    made = {"index": 0, "id": f"call_{name}", "type": "function", "function": function}
    return {"tool_calls": [made]}


class ScriptedModel:
    """Answers as `answer` says, given the messages; keeps what it was asked."""

    def __init__(self, answer: Callable[[list[dict[str, Any]]], str | dict[str, Any]]) -> None:
        self.app = FastAPI()
        self.asked: list[dict[str, Any]] = []

        @self.app.post("/v1/chat/completions")
        async def complete(request: Request) -> StreamingResponse:
            asked = await request.json()
            self.asked.append(asked)
            given = answer(asked["messages"])
            return StreamingResponse(self._events(given), media_type="text/event-stream")

    async def _events(self, given: str | dict[str, Any]):
        deltas = (
            [{"content": f"{w} "} for w in given.split()] if isinstance(given, str) else [given]
        )
        for delta in deltas:
            choice = {"index": 0, "delta": delta, "finish_reason": None}
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
            yield f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n"
            await asyncio.sleep(0)
        yield "data: [DONE]\n\n"
