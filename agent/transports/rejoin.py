"""A WebSocket whose other end may be lost and come back: what holds it does not notice.

Pipecat's transport is given one of these in a WebSocket's place.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Protocol

from starlette.websockets import WebSocket, WebSocketDisconnect, WebSocketState

_WAITING = 50
"""Messages read and not taken, one second of packets. Full, the client waits."""

_MEANT = (1000, 1001)
"""Close codes of somebody who leaves: done, and going away. All others are losses."""


class Rejoinable(Protocol):
    """A transport whose client, once lost, may come back over a WebSocket."""

    sample_rate: int

    def join(self, websocket: WebSocket) -> bool:
        """Go on with an accepted socket; False if it is too late."""


class RejoinableSocket:
    """Reads and writes whichever socket is there; in between, what is written is lost.

    Args:
        websocket: The first one, accepted.
        rejoin_s: How long another one is waited for. With 0, or after a close that was meant, the
            end of a socket is the end.
        on_away: Called when the other end is lost.
        on_back: Called when it has come back.
    """

    def __init__(
        self,
        websocket: WebSocket,
        rejoin_s: float,
        on_away: Callable[[], None] = lambda: None,
        on_back: Callable[[], None] = lambda: None,
    ) -> None:
        self._socket = websocket
        self._rejoin_s = rejoin_s
        self.on_away = on_away
        self.on_back = on_back
        self._messages: asyncio.Queue[Any] = asyncio.Queue(_WAITING)
        self._reader: asyncio.Task[None] | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_over = False
        self._sending: set[asyncio.Timeout] = set()

    @property
    def is_away(self) -> bool:
        """Whether nobody is there, but somebody may come."""
        return self._timer is not None

    @property
    def client_state(self) -> WebSocketState:
        """Connected until it is over, whether somebody is there or not."""
        return WebSocketState.DISCONNECTED if self._is_over else WebSocketState.CONNECTED

    @property
    def application_state(self) -> WebSocketState:
        """Likewise."""
        return self.client_state

    async def receive(self) -> Any:
        """The next ASGI message, from whichever socket."""
        if self._reader is None:
            self._read(self._socket)
        return await self._messages.get()

    async def send_bytes(self, data: bytes) -> None:
        """Send, if somebody is there."""
        if self._is_here:
            await self._guarded(self._socket.send_bytes(data))

    async def send_text(self, data: str) -> None:
        """Send, if somebody is there."""
        if self._is_here:
            await self._guarded(self._socket.send_text(data))

    async def close(self, code: int = 1000, reason: str | None = None) -> None:
        """End it."""
        self._finish()
        if self._reader:
            self._reader.cancel()
        if self._socket.application_state is WebSocketState.CONNECTED:
            await self._guarded(self._socket.close(code, reason))

    def join(self, websocket: WebSocket) -> bool:
        """Go on with another accepted socket; False if it is too late."""
        if self._is_over:
            return False
        if self._timer:
            self._timer.cancel()
            self._timer = None
        else:
            # The client has noticed the loss before us.
            self.on_away()
        if self._reader:
            self._reader.cancel()
        self._give_up_sending()
        self._socket = websocket
        self._read(websocket)
        self.on_back()
        return True

    @property
    def _is_here(self) -> bool:
        state = self._socket.application_state
        return not self._is_over and not self._timer and state is WebSocketState.CONNECTED

    async def _guarded(self, sending: Any) -> None:
        try:
            async with asyncio.timeout(None) as limit:
                self._sending.add(limit)
                await sending
        except (WebSocketDisconnect, RuntimeError, TimeoutError):
            # Gone in this moment, and the reader hears of it too; or given up for another socket.
            return
        finally:
            self._sending.discard(limit)

    def _give_up_sending(self) -> None:
        """Let go who waits for a network that takes nothing: it may say so only in minutes."""
        for limit in self._sending:
            limit.reschedule(asyncio.get_running_loop().time())

    def _read(self, socket: WebSocket) -> None:
        self._reader = asyncio.create_task(self._pump(socket), name="rejoinable-socket")

    async def _pump(self, socket: WebSocket) -> None:
        while True:
            message = await socket.receive()
            if message["type"] != "websocket.disconnect":
                await self._messages.put(message)
                continue
            if not self._rejoin_s or message.get("code") in _MEANT or self._is_over:
                await self._end()
            else:
                self._timer = asyncio.get_running_loop().call_later(self._rejoin_s, self._expire)
                self.on_away()
            return

    def _expire(self) -> None:
        self._timer = None
        self._reader = asyncio.create_task(self._end(), name="rejoinable-socket")

    async def _end(self) -> None:
        self._finish()
        await self._messages.put({"type": "websocket.disconnect", "code": 1006})

    def _finish(self) -> None:
        self._is_over = True
        if self._timer:
            self._timer.cancel()
            self._timer = None
