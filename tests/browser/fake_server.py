"""A server for page states only: the real page, its real policy, and a conversation by script.

It serves `web/` with the same security policy as the product and speaks the wire format over a
real WebSocket, so a test can bring the page into states that models reach only by chance. The
product's own server is driven in `test_conversation.py`.
"""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket, WebSocketDisconnect

from tests.ports import free_port

WEB = Path(__file__).resolve().parents[2] / "web"

POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self' ws: wss:; media-src 'self' blob: mediastream:; worker-src 'self' blob:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)
TYPES = {".html": "text/html", ".js": "text/javascript", ".css": "text/css"}


class FakeServer:
    """Runs on a thread of its own; every method may be called from the test's thread."""

    def __init__(self) -> None:
        self.status: dict[str, Any] = {
            "name": "Duplex",
            "version": "0.1.0",
            "webrtc": False,
            "offline": True,
            "models": {"asr": "moonshine-base", "llm": "smollm2-360m", "tts": "kokoro"},
            "sessions": {"active": 0, "limit": 4},
        }
        self.status_code = 200
        self.messages: list[dict[str, Any]] = []
        self.audio = bytearray()
        self.sample_rate = 0
        self.connections = 0
        self.offers = 0
        self._sockets: list[WebSocket] = []
        self._loop = asyncio.new_event_loop()
        self._server: uvicorn.Server | None = None
        self._thread: threading.Thread | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}/"

    def start(self) -> None:
        app = Starlette(
            routes=[
                Route("/", self._index),
                Route("/web/{name}", self._file),
                Route("/api/status", self._status),
                Route("/api/offer", self._offer, methods=["POST"]),
                WebSocketRoute("/v1/stream", self._stream),
            ]
        )
        config = uvicorn.Config(
            app, port=self.port, log_level="warning", ws="websockets-sansio", lifespan="off"
        )
        self._server = uvicorn.Server(config)
        self._thread = threading.Thread(target=self._run, args=(self._server,), daemon=True)
        self._thread.start()
        wait_until(lambda: self._server is not None and self._server.started, "the server to start")

    def stop(self) -> None:
        if self._server is None or self._thread is None:
            return
        self._server.force_exit = True
        self._server.should_exit = True
        self._thread.join(timeout=10)
        self._server = None

    def say(self, *events: dict[str, Any]) -> None:
        """Send events to every open page, in order."""
        for event in events:
            self._on_loop(self._send_all(json.dumps(event)))

    def play(self, pcm: bytes) -> None:
        """Send PCM16 mono at the page's own rate."""
        self._on_loop(self._send_all(pcm))

    def hang_up(self) -> None:
        """Close every connection, as a dying server does."""
        self._on_loop(self._close_all())

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.messages if message["type"] == kind]

    def wait_for(self, kind: str, count: int = 1) -> dict[str, Any]:
        """Wait for the page's `count`-th message of a type, and return it."""
        wait_until(lambda: len(self.of_type(kind)) >= count, f"message {count} of type {kind}")
        return self.of_type(kind)[count - 1]

    def _run(self, server: uvicorn.Server) -> None:
        self._loop = asyncio.new_event_loop()
        self._loop.run_until_complete(server.serve())

    def _on_loop(self, work: Any) -> None:
        done: Future[None] = asyncio.run_coroutine_threadsafe(work, self._loop)
        done.result(timeout=5)

    async def _send_all(self, data: str | bytes) -> None:
        for peer in self._sockets:
            await (peer.send_text(data) if isinstance(data, str) else peer.send_bytes(data))

    async def _close_all(self) -> None:
        for peer in list(self._sockets):
            await peer.close(1011, "The server is going away.")

    async def _index(self, _request: Request) -> Response:
        return self._page("index.html")

    async def _file(self, request: Request) -> Response:
        return self._page(request.path_params["name"])

    def _page(self, name: str) -> Response:
        path = WEB / name
        if not path.is_file():
            return Response("no such file", status_code=404)
        headers = {"Content-Security-Policy": POLICY, "Cache-Control": "no-store"}
        return FileResponse(path, headers=headers, media_type=TYPES.get(path.suffix))

    async def _status(self, _request: Request) -> Response:
        return JSONResponse(self.status, status_code=self.status_code)

    async def _offer(self, _request: Request) -> Response:
        """Refuse, as an installation without the WebRTC extra does."""
        self.offers += 1
        return Response("no WebRTC here", status_code=501)

    async def _stream(self, peer: WebSocket) -> None:
        await peer.accept()
        self.sample_rate = int(peer.query_params["sample_rate"])
        self.connections += 1
        self._sockets.append(peer)
        ready = {"type": "ready", "session": f"s{self.connections}", "transport": "websocket"}
        await peer.send_text(json.dumps(ready | {"models": self.status["models"]}))
        try:
            while True:
                message = await peer.receive()
                if message["type"] == "websocket.disconnect":
                    break
                if message.get("bytes") is not None:
                    self.audio += message["bytes"]
                else:
                    self.messages.append(json.loads(message["text"]))
        except WebSocketDisconnect:
            pass
        finally:
            self._sockets.remove(peer)


def wait_until(condition: Callable[[], bool], what: str, limit_s: float = 15.0) -> None:
    """Poll from outside the browser; the limit only turns a hang into a failure."""
    deadline = time.monotonic() + limit_s
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError(f"waited {limit_s} s in vain for {what}")
        time.sleep(0.05)
