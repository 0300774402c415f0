"""Our own service over its WebSocket: one connection, resumed when it breaks.

Each attempt is an utterance of the protocol. The server confirms what it holds, so an attempt whose
connection broke goes on over the next one from there; a server that knows nothing of it, because it
was replaced, hears it from its first sample.
"""

import asyncio
import zlib
from itertools import count
from typing import Any

from loguru import logger
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import WebSocketException

from agent.asr.cloud import wire
from agent.asr.cloud.client import CloudLostError, CloudSettings, Feed
from agent.asr.cloud.line import PIECE, Hearing, Line, refusal
from agent.asr.hybrid.events import Answer

_CONNECT_S = 3.0
"""For connection, handshake and welcome together."""

_DEADLINE_S = 3.0
"""The server need not work on what is answered later than the core waits for."""

_LINES = 3
"""Connections one attempt may take."""


class NativeClient:
    """A `CloudClient` for ``duplex asr-server``."""

    def __init__(self, settings: CloudSettings) -> None:
        self._settings = settings
        self._numbers = count(1)
        self._active: set[int] = set()
        self._token = ""
        self._line: Line | None = None
        self._connecting = asyncio.Lock()

    async def transcribe(self, feed: Feed) -> Answer:
        """See `agent.asr.cloud.client.CloudClient`."""
        number = next(self._numbers)
        self._active.add(number)
        try:
            for _ in range(_LINES):
                line = await self._connected()
                try:
                    return await self._over(line, number, feed)
                except (OSError, WebSocketException) as error:
                    logger.debug("recognition: a connection broke ({})", type(error).__name__)
            raise CloudLostError("connections break")
        finally:
            self._active.discard(number)

    async def close(self) -> None:
        """Hang up."""
        line, self._line = self._line, None
        if line:
            await line.close()

    async def _over(self, line: Line, number: int, feed: Feed) -> Answer:
        """Let one connection hear the feed, from where the server already holds it."""
        hearing = line.begin(number)
        sending = asyncio.get_running_loop().create_task(self._send(line, number, hearing, feed))
        is_answered = False
        try:
            either: set[asyncio.Future[Any]] = {sending, hearing.final}
            await asyncio.wait(either, return_when=asyncio.FIRST_COMPLETED)
            if not hearing.final.done():
                await sending
            finished = await hearing.final
            is_answered = True
        finally:
            sending.cancel()
            await asyncio.gather(sending, return_exceptions=True)
            line.end(number, is_answered=is_answered)
            if not is_answered and line.is_silent:
                # Nobody knows whether anyone is there: the next attempt had better call anew.
                line.is_leaving = True
        _check(finished, feed)
        return finished.answer

    async def _send(self, line: Line, number: int, hearing: Hearing, feed: Feed) -> None:
        while await feed.wait(hearing.sent):
            await line.send_audio(number, feed.read(hearing.sent)[:PIECE])
        await line.finalize(number, _DEADLINE_S)

    async def _connected(self) -> Line:
        async with self._connecting:
            if self._line is None or not self._line.is_usable:
                self._line = await self._connect()
            return self._line

    async def _connect(self) -> Line:
        settings = self._settings
        try:
            async with asyncio.timeout(_CONNECT_S):
                socket = await connect(
                    settings.url,
                    additional_headers=settings.headers,
                    compression=None,
                    close_timeout=1.0,
                )
                message = await self._greet(socket)
        except TimeoutError:
            raise CloudLostError("no connection in time") from None
        except (OSError, WebSocketException) as error:
            raise refusal(error) or CloudLostError("no connection") from error
        self._token = message.token
        line = Line(socket, message)
        for number in message.held.keys() - self._active:
            line.end(number, is_answered=False)
        return line

    async def _greet(self, socket: ClientConnection) -> wire.Welcome:
        """Say hello; hang up on who does not answer as documented."""
        settings, message = self._settings, None
        try:
            await socket.send(wire.hello(self._token, settings.language, settings.hints))
            message = wire.parse(str(await socket.recv()))
        finally:
            if not isinstance(message, wire.Welcome):
                socket.transport.abort()
        if not isinstance(message, wire.Welcome):
            raise CloudLostError("not a server of this protocol")
        return message


def _check(finished: wire.Finished, feed: Feed) -> None:
    """Make sure that the server heard what was said, sample for sample."""
    pcm = feed.read(0)
    if (finished.samples, finished.crc32) != (len(pcm), zlib.crc32(pcm.tobytes())):
        raise CloudLostError("the server heard other audio")
