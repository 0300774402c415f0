"""``WS /v1/stream``: a caller's utterances, which outlive the connection (docs/parakeet.md)."""

import asyncio
import contextlib
import json
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.audio.chunk import samples, seconds
from agent.parakeet.engine import Update
from agent.parakeet.errors import OverloadedError, RequestError, TooLongError
from agent.parakeet.live import Final, LiveUtterance
from agent.parakeet.native_messages import (
    PROTOCOL,
    Audio,
    BadMessageError,
    Wishes,
    read_audio,
    read_deadline,
    read_samples,
    read_text,
    read_utterance,
    read_wishes,
    words_to,
)
from agent.parakeet.service import Service

ROUTE = "stream"

RESUME_S = 30.0
"""How long a session waits for its client to come back."""

_ACK_EVERY = samples(0.5)
_MOST_UTTERANCES = 64
"""Of one session, open or not yet received: a conversation has one or two."""

_MOST_BAD = 100
_MOST_QUEUED = 500
"""Messages to a client that does not read; beyond it, partials and acks are left out."""

_FORGOTTEN = 256

FINISHED, GOING_AWAY, POLICY, TRY_LATER = 1000, 1001, 1008, 1013
UNAUTHORISED, NO_HELLO, TAKEN_OVER = 4401, 4408, 4409

Message = dict[str, Any]
Send = Callable[[Message], None]


@dataclass(slots=True)
class _Utterance:
    """One utterance of a session, until its answer is received."""

    wishes: Wishes
    live: LiveUtterance | None = None
    heard: int = 0
    acked: int = 0
    revision: int = 0
    answer: Message | None = None
    task: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """As ``welcome`` tells it."""
        if self.answer is not None:
            return "final" if self.answer["type"] == "final" else "failed"
        return "finalizing" if self.task is not None else "open"


class Session:
    """One caller, over any number of connections one after another."""

    def __init__(self, service: Service) -> None:
        self.name = f"s-{secrets.token_hex(4)}"
        self.token = secrets.token_urlsafe(24)
        self.wishes = Wishes()
        self._service = service
        self._utterances: dict[int, _Utterance] = {}
        self._forgotten: OrderedDict[int, None] = OrderedDict()
        self._send: Send | None = None
        self._seq = 0

    def attach(self, send: Send) -> None:
        """A connection begins."""
        self._send = send
        self._seq = 0

    def detach(self, send: Send) -> None:
        """A connection ends, unless another one has taken over."""
        if self._send is send:
            self._send = None

    def standing(self) -> list[Message]:
        """Where each utterance stands, for ``welcome``."""
        return [
            {"utterance": number, "sample": utterance.heard, "state": utterance.state}
            for number, utterance in self._utterances.items()
        ]

    def repeat(self) -> None:
        """Send every answer that was not received."""
        for utterance in self._utterances.values():
            if utterance.answer is not None:
                self._tell(utterance.answer)

    def close(self) -> None:
        """Forget everything; frees all slots."""
        for utterance in self._utterances.values():
            if utterance.task is not None:
                utterance.task.cancel()
            if utterance.live is not None:
                utterance.live.abort()
        self._utterances.clear()

    def hear(self, audio: Audio) -> None:
        """Take an audio message."""
        self._seq = max(self._seq, audio.seq)
        if audio.utterance in self._forgotten:
            return
        utterance = self._utterances.get(audio.utterance)
        if utterance is None:
            utterance = self._begin(audio.utterance, self.wishes)
        if audio.sample > utterance.heard:
            self._refuse(
                "gap",
                "samples are missing; send from expected_sample",
                utterance=audio.utterance,
                expected_sample=utterance.heard,
                retryable=True,
            )
            return
        news = audio.pcm[2 * (utterance.heard - audio.sample) :]
        if utterance.live is not None and utterance.task is None and news:
            try:
                utterance.live.append(news)
            except TooLongError as error:
                self._fail(audio.utterance, utterance, error)
                return
            utterance.heard += len(news) // 2
        if utterance.heard - utterance.acked >= _ACK_EVERY or not news:
            self._acknowledge(audio.utterance, utterance)

    def read(self, message: Mapping[str, Any]) -> None:
        """Take a text message other than ``hello``.

        Raises:
            BadMessageError: A field is wrong.
        """
        match message["type"]:
            case "begin":
                number = read_utterance(message)
                if number not in self._utterances and number not in self._forgotten:
                    self._begin(number, read_wishes(message, self.wishes))
            case "finalize":
                self._finalize(message)
            case "abort":
                self._forget(read_utterance(message))
            case "received":
                number = read_utterance(message)
                utterance = self._utterances.get(number)
                if utterance is not None and utterance.answer is not None:
                    self._forget(number)
            case "ping":
                self._tell({**message, "type": "pong"})
            case _:
                pass  # a later version's message

    def _begin(self, number: int, wishes: Wishes) -> _Utterance:
        utterance = self._utterances[number] = _Utterance(wishes)
        try:
            if len(self._utterances) > _MOST_UTTERANCES:
                raise OverloadedError(f"a session has at most {_MOST_UTTERANCES} utterances", 1.0)
            utterance.live = LiveUtterance(
                self._service,
                wishes.options(),
                lambda update: self._partial(number, utterance, update),
                partials=wishes.partials,
            )
        except RequestError as error:
            self._fail(number, utterance, error)
        return utterance

    def _finalize(self, message: Mapping[str, Any]) -> None:
        number, wanted = read_utterance(message), read_samples(message)
        deadline_s = read_deadline(message, self._service.settings.deadline_s)
        utterance = self._utterances.get(number)
        if number in self._forgotten:
            return
        if utterance is None and wanted == 0:
            utterance = self._begin(number, self.wishes)
        if utterance is None:
            self._refuse(
                "unknown_utterance",
                "it is neither open nor answered; send its audio again",
                utterance=number,
            )
        elif utterance.answer is not None:
            self._tell(utterance.answer)
        elif wanted > utterance.heard:
            self._refuse(
                "gap",
                "samples are missing; send from expected_sample, then finalize again",
                utterance=number,
                expected_sample=utterance.heard,
                retryable=True,
            )
        elif wanted < utterance.heard:
            raise BadMessageError(f"the utterance has {utterance.heard} samples already")
        elif utterance.task is None:
            self._acknowledge(number, utterance)
            utterance.task = asyncio.create_task(self._finish(number, utterance, deadline_s))

    async def _finish(self, number: int, utterance: _Utterance, deadline_s: float) -> None:
        clock = asyncio.get_running_loop().time
        started_s = clock()
        assert utterance.live is not None
        try:
            final = await utterance.live.finish(started_s + deadline_s)
        except RequestError as error:
            self._fail(number, utterance, error)
            return
        utterance.live = None
        took_s = clock() - started_s
        metrics = self._service.metrics
        metrics.requests.labels(ROUTE, "final").inc()
        metrics.request_s.labels(ROUTE).observe(took_s)
        metrics.audio_s.labels(ROUTE).inc(seconds(final.samples))
        utterance.answer = _final(number, final, self._service.model, took_s)
        self._tell(utterance.answer)

    def _partial(self, number: int, utterance: _Utterance, update: Update) -> None:
        for endpoint in update.endpoints:
            self._service.metrics.endpoints.labels(endpoint.kind.value).inc()
            self._tell(
                {
                    "type": "endpoint",
                    "utterance": number,
                    "kind": endpoint.kind.value,
                    "sample": endpoint.sample,
                }
            )
        if not utterance.wishes.partials or utterance.task is not None:
            return
        utterance.revision += 1
        self._tell(
            {
                "type": "partial",
                "utterance": number,
                "revision": utterance.revision,
                "text": update.transcript.text,
                "words": words_to(update.transcript.words),
                "through_sample": update.through_sample,
            }
        )

    def _fail(self, number: int, utterance: _Utterance, error: RequestError) -> None:
        if utterance.live is not None:
            utterance.live.abort()
            utterance.live = None
        self._service.metrics.requests.labels(ROUTE, error.code).inc()
        utterance.answer = {
            "type": "error",
            "code": error.code,
            "message": str(error),
            "utterance": number,
            "fatal": True,
            "retryable": error.retryable,
            "retry_after_s": error.retry_after_s,
        }
        self._tell(utterance.answer)

    def _refuse(self, code: str, message: str, **fields: Any) -> None:
        self._tell(
            {
                "type": "error",
                "code": code,
                "message": message,
                "fatal": False,
                "retryable": False,
                **fields,
            }
        )

    def _acknowledge(self, number: int, utterance: _Utterance) -> None:
        utterance.acked = utterance.heard
        self._tell(
            {"type": "ack", "utterance": number, "seq": self._seq, "sample": utterance.heard}
        )

    def _forget(self, number: int) -> None:
        utterance = self._utterances.pop(number, None)
        if utterance is None:
            return
        if utterance.task is not None:
            utterance.task.cancel()
        if utterance.live is not None:
            utterance.live.abort()
        self._forgotten[number] = None
        while len(self._forgotten) > _FORGOTTEN:
            self._forgotten.popitem(last=False)

    def _tell(self, message: Message) -> None:
        if self._send is not None:
            self._send(message)


def _final(number: int, final: Final, model: str, took_s: float) -> Message:
    transcript = final.transcript
    return {
        "type": "final",
        "utterance": number,
        "text": transcript.text,
        "words": words_to(transcript.words),
        "confidence": transcript.confidence,
        "language": transcript.language,
        "samples": final.samples,
        "crc32": final.crc32,
        "model": model,
        "seconds": round(took_s, 4),
    }


class Sessions:
    """All sessions, connected or waiting for their client to come back."""

    def __init__(self, service: Service, limit: int, resume_s: float = RESUME_S) -> None:
        self._service = service
        self._limit = limit
        self._resume_s = resume_s
        self._sessions: dict[str, Session] = {}
        self._connections: dict[str, Connection] = {}
        self._expiries: dict[str, asyncio.TimerHandle] = {}
        service.on_drain.append(self._drain)

    async def serve(self, websocket: WebSocket) -> None:
        """Serve one connection, from its ``hello`` to its end."""
        await websocket.accept()
        connection = Connection(websocket, self._service)
        async with contextlib.AsyncExitStack() as stack:
            hello = await connection.hello()
            if hello is None:
                return
            message, wishes = hello
            session = self._take(message.get("token"))
            is_resumed = session is not None
            if session is None:
                if len(self._sessions) >= self._limit:
                    self._service.metrics.rejected.labels("sessions").inc()
                    await connection.close(TRY_LATER, "too many sessions; try later")
                    return
                session = self._sessions.setdefault((new := Session(self._service)).token, new)
            session.wishes = wishes
            self._connections[session.token] = connection
            stack.callback(self._leave, session, connection)
            connection.send(self._welcome(session, is_resumed=is_resumed))
            await connection.run(session)

    def _welcome(self, session: Session, *, is_resumed: bool) -> Message:
        service = self._service
        facts = service.facts
        return {
            "type": "welcome",
            "protocol": PROTOCOL,
            "session": session.name,
            "token": session.token,
            "resumed": is_resumed,
            "resume_s": self._resume_s,
            "max_utterance_s": service.longest_s,
            "model": service.model,
            "partials": service.has_streams,
            "hints": any(one.hints for one in facts),
            "languages": sorted({code for one in facts for code in one.languages}),
            "utterances": session.standing(),
            "draining": service.is_draining,
        }

    def _take(self, token: object) -> Session | None:
        """The session of a token, away from whichever connection has it."""
        if not isinstance(token, str) or token not in self._sessions:
            return None
        if expiry := self._expiries.pop(token, None):
            expiry.cancel()
        if connection := self._connections.pop(token, None):
            connection.take_over()
        return self._sessions[token]

    def _leave(self, session: Session, connection: "Connection") -> None:
        session.detach(connection.send)
        if self._connections.get(session.token) is not connection:
            return
        del self._connections[session.token]
        if connection.is_finished or self._service.is_draining:
            self._expire(session.token)
            return
        loop = asyncio.get_running_loop()
        self._expiries[session.token] = loop.call_later(self._resume_s, self._expire, session.token)

    def _drain(self) -> None:
        """A client that is away begins anew elsewhere: do not wait for it."""
        for token, expiry in list(self._expiries.items()):
            expiry.cancel()
            self._expire(token)

    def _expire(self, token: str) -> None:
        self._expiries.pop(token, None)
        if session := self._sessions.pop(token, None):
            session.close()


class Connection:
    """One WebSocket: reads in order, writes from a queue, so that a slow client delays nobody."""

    def __init__(self, websocket: WebSocket, service: Service) -> None:
        self._websocket = websocket
        self._service = service
        self._queue: asyncio.Queue[Message] = asyncio.Queue()
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
                message = read_text(await self._websocket.receive_text())
            if message["type"] != "hello" or message.get("protocol") != PROTOCOL:
                raise BadMessageError(f'say {{"type": "hello", "protocol": {PROTOCOL}}} first')
            return message, read_wishes(message, Wishes())
        except TimeoutError:
            await self.close(NO_HELLO, "no hello in time")
        except (BadMessageError, KeyError) as error:
            await self.close(POLICY, str(error)[:120])
        except WebSocketDisconnect:
            pass
        return None

    async def run(self, session: Session) -> None:
        """Serve until either side ends it."""
        session.attach(self.send)
        session.repeat()
        tasks = [
            asyncio.create_task(self._read(session)),
            asyncio.create_task(self._write()),
            asyncio.create_task(self._tell_drain()),
            asyncio.create_task(self._taken_over.wait()),
        ]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
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
            while True:
                await self._websocket.send_text(json.dumps(await self._queue.get()))

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
