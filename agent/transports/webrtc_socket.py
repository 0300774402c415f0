"""The rest of a WebRTC call over a WebSocket: the browser finds no direct path any more."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from typing import Any

from pipecat.frames.frames import Frame
from starlette.websockets import WebSocket

from agent.transports.rejoin import RejoinableSocket
from agent.transports.stream import LEAD_S, StreamSerializer


class SocketPath:
    """Stands where a call's outbound track stood, and reads what comes back.

    Args:
        websocket: Accepted; it speaks the protocol of `/v1/stream`.
        sample_rate: Both ways, in Hz.
        rejoin_s: How long another socket is waited for should this one break.
        take: Given the client's audio and messages, as frames.
        on_away: Called when the client is lost again.
        on_back: Called when it has come back.
        on_over: Awaited when it does not, or has left on purpose.
    """

    def __init__(
        self,
        websocket: WebSocket,
        sample_rate: int,
        rejoin_s: float,
        *,
        take: Callable[[Frame], Awaitable[None]],
        on_away: Callable[[], None],
        on_back: Callable[[], None],
        on_over: Callable[[], Awaitable[None]],
    ) -> None:
        self._socket = RejoinableSocket(websocket, rejoin_s, on_away, on_back)
        self._serializer = StreamSerializer(sample_rate)
        self._rate = sample_rate
        self._free_at = 0.0
        self._take = take
        self._on_over = on_over
        self._reader = asyncio.create_task(self._read(), name="webrtc-socket")

    @property
    def queued_s(self) -> float:
        """Seconds of audio accepted and not sent yet: none."""
        return 0.0

    def join(self, websocket: WebSocket) -> bool:
        """Go on with another accepted socket; False if it is too late."""
        self._free_at = 0.0
        self._serializer.restart()
        return self._socket.join(websocket)

    async def write(self, pcm: bytes) -> bool:
        """Send audio, 16-bit mono, once the client holds no more than `LEAD_S`."""
        loop = asyncio.get_running_loop()
        ahead_s = self._free_at - loop.time()
        if ahead_s > LEAD_S:
            await asyncio.sleep(ahead_s - LEAD_S)
        await self._socket.send_bytes(pcm)
        self._free_at = max(self._free_at, loop.time()) + len(pcm) / (2 * self._rate)
        return True

    async def send(self, message: dict[str, Any]) -> None:
        """Send an event."""
        if message.get("type") == "clear":
            self._free_at = 0.0
        await self._socket.send_text(json.dumps(message, ensure_ascii=False, separators=(",", ":")))

    async def drain(self) -> None:
        """Wait until everything written has sounded."""
        await asyncio.sleep(max(0.0, self._free_at - asyncio.get_running_loop().time()))

    def stop(self) -> None:
        """Nothing is held here."""

    async def close(self) -> None:
        """Hang up."""
        await self._socket.close()
        if self._reader is not asyncio.current_task():
            self._reader.cancel()

    async def _read(self) -> None:
        while (message := await self._socket.receive())["type"] != "websocket.disconnect":
            data = message.get("bytes")
            data = message.get("text") if data is None else data
            frame = None if data is None else await self._serializer.deserialize(data)
            if frame is not None:
                await self._take(frame)
        await self._on_over()
