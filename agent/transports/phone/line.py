"""The socket under a media stream."""

import asyncio
from typing import Protocol

from fastapi import WebSocket
from starlette.websockets import WebSocketDisconnect, WebSocketState


class Line(Protocol):
    """Messages both ways."""

    async def receive(self) -> str | bytes | None:
        """The next message; None once the peer is gone."""

    async def send(self, data: str | bytes) -> bool:
        """Send a message; False if the peer is gone."""

    async def close(self) -> None:
        """Close; nothing if closed."""


_CLOSE_S = 0.5
"""How long a peer may take to say goodbye: one that is gone must not hold up the end."""


class WebSocketLine:
    """An accepted WebSocket."""

    def __init__(self, websocket: WebSocket) -> None:
        self._websocket = websocket

    async def receive(self) -> str | bytes | None:
        """The next message; None once the peer is gone."""
        if self._websocket.client_state is not WebSocketState.CONNECTED:
            return None
        message = await self._websocket.receive()
        if message["type"] == "websocket.disconnect":
            return None
        text: str | None = message.get("text")
        if text is not None:
            return text
        data: bytes = message.get("bytes") or b""
        return data

    async def send(self, data: str | bytes) -> bool:
        """Send a message; False if the peer is gone."""
        if not self._is_open:
            return False
        try:
            if isinstance(data, bytes):
                await self._websocket.send_bytes(data)
            else:
                await self._websocket.send_text(data)
        except (WebSocketDisconnect, RuntimeError, OSError):
            # The peer left between the look and the sending.
            return False
        return True

    async def close(self, code: int = 1000) -> None:
        """Close; nothing if closed."""
        if not self._is_open:
            return
        try:
            await asyncio.wait_for(self._websocket.close(code), _CLOSE_S)
        except (TimeoutError, WebSocketDisconnect, RuntimeError, OSError):
            return

    @property
    def _is_open(self) -> bool:
        states = (self._websocket.client_state, self._websocket.application_state)
        return all(state is WebSocketState.CONNECTED for state in states)
