"""An OpenAI-compatible language model whose answers are written down.

What is tested with it is all the rest: the conversation must go the same way every time.
"""

import json
import socket
import threading
import uuid
from collections.abc import Callable, Iterator
from typing import Any

import uvicorn
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse

Answer = str | dict[str, Any]


def call(name: str, **arguments: Any) -> dict[str, Any]:
    """An answer that calls a function."""
    function = {"name": name, "arguments": json.dumps(arguments)}
    made = {"index": 0, "id": f"call_{uuid.uuid4().hex}", "type": "function", "function": function}
    return {"tool_calls": [made]}


class ScriptedModel:
    """Answers as it is told, given the messages and the tools. Runs on a thread.

    Attributes:
        asked: The messages of every request.
        limits: How many tokens the answer to each might have.
    """

    def __init__(self, answer: Callable[[list[dict[str, Any]], list[str]], Answer]) -> None:
        app = FastAPI()
        self.asked: list[list[dict[str, Any]]] = []
        self.limits: list[int | None] = []

        @app.post("/v1/chat/completions")
        async def complete(request: Request) -> StreamingResponse:
            asked = await request.json()
            self.asked.append(asked["messages"])
            self.limits.append(asked.get("max_tokens"))
            tools = [tool["function"]["name"] for tool in asked.get("tools") or ()]
            given = answer(asked["messages"], tools)
            return StreamingResponse(_events(given), media_type="text/event-stream")

        listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{listener.getsockname()[1]}"
        self._server = uvicorn.Server(uvicorn.Config(app, log_level="error"))
        self._thread = threading.Thread(target=self._server.run, args=([listener],), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._server.should_exit = True
        self._thread.join(timeout=10)


def _events(given: Answer) -> Iterator[str]:
    words = [{"content": f"{word} "} for word in given.split()] if isinstance(given, str) else []
    for delta in words or [given]:
        choice = {"index": 0, "delta": delta, "finish_reason": None}
        chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
        yield f"data: {json.dumps({**chunk, 'choices': [choice]})}\n\n"
    yield "data: [DONE]\n\n"
