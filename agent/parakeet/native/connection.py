"""One WebSocket of the native protocol: from ``hello`` to its end."""

import asyncio
import contextlib
import json

from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.parakeet.native.messages import (
    PROTOCOL,
    BadMessageError,
    Wishes,
    read_audio,
    read_text,
    read_wishes,
)
from agent.parakeet.native.session import ROUTE, Message, Session
from agent.parakeet.service import Service

_MOST_BAD = 100
_MOST_QUEUED = 500
"""Messages to a client that does not read; beyond it, partials and acks are left out."""

_LAST_WORDS_S = 1.0
"""For a client to take what is queued for it when its connection ends."""

FINISHED, GOING_AWAY, POLICY = 1000, 1001, 1008
NO_HELLO, TAKEN_OVER = 4408, 4409


class Connection:
    """One WebSocket: reads in order, writes from a queue, so that a slow client delays nobody."""

    def __init__(self, websocket: WebSocket, service: Service) -> None:
        self._websocket = websocket
        self._service = service
        self._queue: asyncio.Queue[Message | None] = asyncio.Queue()
        self._bad = 0
        self._taken_over = asyncio.Event()
        self.is_finished = False
        """Whether the client said goodbye: it will not come back."""

    def send(self, message: Message) -> None:
        """Queue a message; a client that does not read misses partials and acks, nothing else."""
        if self._queue.qsize() < _MOST_QUEUED or message["type"] not in ("partial", "ack"):
            self._queue.put_nowait(message)

    def take_over(self) -> None:
        """The session goes on over another connection."""
        self._taken_over.set()

    async def close(self, code: int, reason: str) -> None:
        """Close, whatever state the socket is in."""
        with contextlib.suppress(RuntimeError, WebSocketDisconnect):
            await self._websocket.close(code, reason)

    async def hello(self) -> tuple[Message, Wishes] | None:
        """Wait for a valid ``hello``; None if the connection ended instead."""
        try:
            async with asyncio.timeout(10):
                event = await self._websocket.receive()
            if event["type"] == "websocket.disconnect":
                return None
            message = read_text(event.get("text") or "")
            if message["type"] != "hello" or message.get("protocol") != PROTOCOL:
                raise BadMessageError(f'say {{"type": "hello", "protocol": {PROTOCOL}}} first')
            return message, read_wishes(message, Wishes())
        except TimeoutError:
            await self.close(NO_HELLO, "no hello in time")
        except BadMessageError as error:
            await self.close(POLICY, str(error)[:120])
        return None

    async def run(self, session: Session) -> None:
        """Serve until either side ends it."""
        session.attach(self.send)
        session.repeat()
        writing = asyncio.create_task(self._write())
        tasks = [
            asyncio.create_task(self._read(session)),
            writing,
            asyncio.create_task(self._tell_drain()),
            asyncio.create_task(self._taken_over.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            # The last final was queued a moment ago; it goes out before the goodbye.
            self._queue.put_nowait(None)
            await asyncio.wait({writing}, timeout=_LAST_WORDS_S)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        if self._taken_over.is_set():
            await self.close(TAKEN_OVER, "the session went on over another connection")
        elif self._service.drained.is_set():
            await self.close(GOING_AWAY, "drained")

    async def _read(self, session: Session) -> None:
        with contextlib.suppress(WebSocketDisconnect):
            while self._bad < _MOST_BAD:
                event = await self._websocket.receive()
                if event["type"] == "websocket.disconnect":
                    self.is_finished = event.get("code") == FINISHED
                    return
                try:
                    if event.get("bytes") is not None:
                        session.hear(read_audio(event["bytes"]))
                    else:
                        session.read(read_text(event.get("text") or ""))
                except BadMessageError as error:
                    self._count_bad(error)
            await self.close(POLICY, "too many messages that are not of this protocol")

    def _count_bad(self, error: BadMessageError) -> None:
        self._bad += 1
        self._service.metrics.bad_messages.labels(ROUTE).inc()
        self.send(
            {
                "type": "error",
                "code": "bad_message",
                "message": str(error),
                "fatal": False,
                "retryable": False,
            }
        )

    async def _write(self) -> None:
        with contextlib.suppress(WebSocketDisconnect, RuntimeError):
            while (message := await self._queue.get()) is not None:
                await self._websocket.send_text(json.dumps(message))

    async def _tell_drain(self) -> None:
        await self._service.draining.wait()
        self.send(
            {
                "type": "going_away",
                "reason": "the server shuts down",
                "deadline_s": self._service.grace_s,
            }
        )
        await self._service.drained.wait()
