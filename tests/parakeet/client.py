"""A client of the native protocol, as small as one can be: for the tests of the server."""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

from agent.audio.chunk import Int16Array
from agent.parakeet.native.messages import Audio, write_audio

LIMIT_S = 40.0
"""Far above what anything takes; an engine on a busy CPU may be given more."""


class NativeClient:
    """One connection; messages are kept in the order in which they came."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._seq = 0
        self.welcome: dict[str, Any] = {}
        self.seen: list[dict[str, Any]] = []

    @classmethod
    async def open(cls, url: str, **hello: Any) -> NativeClient:
        client = cls(await connect(f"{url}/v1/stream"))
        await client.say(type="hello", protocol=1, **hello)
        client.welcome = await client.until("welcome")
        return client

    async def say(self, **message: Any) -> None:
        await self._socket.send(json.dumps(message))

    async def audio(
        self, utterance: int, pcm: Int16Array, *, start: int = 0, step: int = 3200
    ) -> None:
        """Send `pcm`, whose first sample stands at `start`."""
        for offset in range(0, len(pcm), step):
            self._seq += 1
            chunk = pcm[offset : offset + step].tobytes()
            await self._socket.send(write_audio(Audio(utterance, self._seq, start + offset, chunk)))

    async def raw(self, message: bytes | str) -> None:
        await self._socket.send(message)

    async def until(
        self,
        kind: str,
        utterance: int | None = None,
        on_message: Callable[[dict[str, Any]], None] = lambda _message: None,
    ) -> dict[str, Any]:
        """The next message of a kind; those before it go to `seen`."""
        return await self.until_one_of({kind}, utterance, on_message)

    async def until_one_of(
        self,
        kinds: set[str],
        utterance: int | None = None,
        on_message: Callable[[dict[str, Any]], None] = lambda _message: None,
    ) -> dict[str, Any]:
        """The next message of any of the kinds."""
        async with asyncio.timeout(LIMIT_S):
            while True:
                message = json.loads(await self._socket.recv())
                self.seen.append(message)
                on_message(message)
                if message["type"] in kinds and utterance in (None, message.get("utterance")):
                    return message

    async def final(self, utterance: int, pcm: Int16Array, **finalize: Any) -> dict[str, Any]:
        """Finalise and wait."""
        await self.say(type="finalize", utterance=utterance, samples=len(pcm), **finalize)
        answer = await self.until("final", utterance)
        # A server that drained may have hung up behind its last final.
        with contextlib.suppress(ConnectionClosed):
            await self.say(type="received", utterance=utterance)
        return answer

    def kinds(self, kind: str) -> list[dict[str, Any]]:
        return [message for message in self.seen if message["type"] == kind]

    def drop(self) -> None:
        """Break the connection without a word."""
        self._socket.transport.abort()

    async def close(self) -> None:
        await self._socket.close()

    async def closed(self) -> int | None:
        """Wait for the server to close; its code."""
        async with asyncio.timeout(LIMIT_S):
            with contextlib.suppress(ConnectionClosed):
                async for message in self._socket:
                    self.seen.append(json.loads(message))
        return self._socket.close_code
