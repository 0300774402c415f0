"""Where providers ring: their webhooks and their media streams.

Nothing begins before it is known who asks: a webhook by its signature, a stream by the one-time
address the webhook was answered with, and by its own signature where the provider has one.
"""

import asyncio
import time
from dataclasses import replace
from urllib.parse import urlsplit

from fastapi import FastAPI, Request, Response, WebSocket
from loguru import logger
from starlette.requests import HTTPConnection

from agent.observe.mask import mask_logs
from agent.server.admission import AtCapacityError
from agent.server.conference import Conference, Expected
from agent.server.consultation import Consultation
from agent.server.sessions import Sessions
from agent.server.tickets import Tickets
from agent.transports.phone import webhooks
from agent.transports.phone.call import CallFacts, Consult, Direction
from agent.transports.phone.documents import Answer
from agent.transports.phone.line import WebSocketLine
from agent.transports.phone.opening import NeverStartedError, opened
from agent.transports.phone.providers.stream import MediaStream
from agent.transports.phone.rest import rest
from agent.transports.phone.transport import PhoneTransport
from agent.transports.phone.webhooks import Gate, WebhookGate, gates
from agent.transports.phone.wire import MAX_MESSAGE, MalformedError, Started

_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013


def add_phone(app: FastAPI, sessions: Sessions) -> None:
    """Add the routes of the providers that are set up; none, no routes."""
    settings = sessions.settings.phone
    made = gates(settings)
    if made:
        mask_logs()
        logger.info("serving {} on {}/phone", ", ".join(made), settings.public_url)
    for name, gate in made.items():
        _add_provider(app, _Provider(name, gate, sessions))


def _add_provider(app: FastAPI, provider: "_Provider") -> None:
    if isinstance(provider.gate, WebhookGate):
        path, method = f"/phone/{provider.name}/answer", provider.gate.method

        @app.api_route(path, methods=[method], name=f"{provider.name}-answer")
        async def answer(request: Request) -> Response:
            return await provider.answer(request)

        @app.websocket(f"/phone/{provider.name}/stream/{{ticket}}")
        async def ticketed(websocket: WebSocket, ticket: str) -> None:
            await provider.serve(websocket, ticket)

        if provider.has_requests:

            @app.post(f"/phone/{provider.name}/called/{{ticket}}")
            async def called(request: Request, ticket: str) -> Response:
                return await provider.called(request, ticket)

            @app.post(f"/phone/{provider.name}/next/{{ticket}}")
            async def go_on(request: Request, ticket: str) -> Response:
                return await provider.go_on(request, ticket)
    else:

        @app.websocket(f"/phone/{provider.name}/stream")
        async def signed(websocket: WebSocket) -> None:
            await provider.serve(websocket, None)


class _Provider:
    """A provider's webhook and streams."""

    def __init__(self, name: str, gate: Gate, sessions: Sessions) -> None:
        self.name = name
        self.gate = gate
        self._sessions = sessions
        self._settings = sessions.settings.phone
        self._tickets: Tickets[CallFacts] = Tickets()
        self._documents: Tickets[Answer] = Tickets()
        self._calls: Tickets[asyncio.Future[PhoneTransport]] = Tickets()
        self._rest = rest(self._settings, name, self._at)
        self._expected: dict[str, asyncio.Future[PhoneTransport]] = {}

    @property
    def has_requests(self) -> bool:
        """Whether we ask anything of it."""
        return self._rest is not None

    async def answer(self, request: Request) -> Response:
        """Answer a webhook: where the stream goes, or that we are busy."""
        gate, asked = self._webhook_gate, await self._asked(request)
        if isinstance(asked, Response):
            return asked
        try:
            facts = gate.facts(asked)
        except MalformedError as error:
            return self._malformed(error)
        try:
            self._sessions.require_place()
        except AtCapacityError:
            return _response(gate.documents.busy())
        ticket = self._tickets.issue(facts, time.monotonic())
        return _response(gate.documents.stream(self._stream_url(ticket), facts))

    async def called(self, request: Request, ticket: str) -> Response:
        """Somebody we called has answered: where the stream goes."""
        gate, asked = self._webhook_gate, await self._asked(request)
        if isinstance(asked, Response):
            return asked
        coming = self._calls.redeem(ticket, time.monotonic())
        if coming is None or coming.done():
            return Response(status_code=404)
        try:
            facts = replace(gate.facts(asked), direction=Direction.OUTBOUND)
        except MalformedError as error:
            return self._malformed(error)
        stream = self._tickets.issue(facts, time.monotonic())
        self._expected[stream] = coming
        coming.add_done_callback(lambda _: self._expected.pop(stream, None))
        return _response(gate.documents.stream(self._stream_url(stream), facts))

    async def go_on(self, request: Request, ticket: str) -> Response:
        """Answer a call that was told to ask here how it goes on."""
        asked = await self._asked(request)
        if isinstance(asked, Response):
            return asked
        document = self._documents.redeem(ticket, time.monotonic())
        return Response(status_code=404) if document is None else _response(document)

    def _expect(self) -> Expected:
        """Make an address for a call of ours."""
        coming: asyncio.Future[PhoneTransport] = asyncio.get_running_loop().create_future()
        ticket = self._calls.issue(coming, time.monotonic())
        url = f"{self._settings.public_url}/phone/{self.name}/called/{ticket}"
        return Expected(url, coming)

    def _at(self, document: Answer) -> str:
        """Make an address at which a document is given, once."""
        ticket = self._documents.issue(document, time.monotonic())
        return f"{self._settings.public_url}/phone/{self.name}/next/{ticket}"

    def _stream_url(self, ticket: str) -> str:
        host = urlsplit(self._settings.public_url).netloc
        scheme = "ws" if self._settings.public_url.startswith("http://") else "wss"
        return f"{scheme}://{host}/phone/{self.name}/stream/{ticket}"

    @property
    def _webhook_gate(self) -> WebhookGate:
        assert isinstance(self.gate, WebhookGate)
        return self.gate

    async def _asked(self, request: Request) -> webhooks.Request | Response:
        """A webhook as the provider sent it, or how it is refused."""
        body = await _body(request)
        if body is None:
            return Response(status_code=413)
        asked = self._as_sent(request, "https", body)
        if not self._webhook_gate.admits(asked, time.time()):
            logger.warning("refused a webhook: no signature of {} fits", self.name)
            return Response(status_code=403)
        return asked

    def _malformed(self, error: MalformedError) -> Response:
        logger.warning("refused a webhook of {}: {}", self.name, error)
        return Response(status_code=400)

    async def serve(self, websocket: WebSocket, ticket: str | None) -> None:
        """Hold a conversation over a stream."""
        announced = None if ticket is None else self._tickets.redeem(ticket, time.monotonic())
        expected_by = self._expected.get(ticket or "")
        asked = self._as_sent(websocket, "wss", b"")
        expected = ticket is None or announced is not None
        if not expected or not self.gate.admits_stream(asked, time.time()):
            logger.warning("refused a stream: {} did not order it", self.name)
            await websocket.close(_POLICY_VIOLATION)
            return
        await websocket.accept()
        line, stream = WebSocketLine(websocket), self.gate.stream()
        try:
            started = await opened(line, stream)
            facts = _facts(stream, started, announced)
        except (NeverStartedError, MalformedError) as error:
            logger.warning("refused a stream of {}: {}", self.name, error)
            await line.close(_POLICY_VIOLATION)
            return
        transport = PhoneTransport(
            line,
            stream,
            facts,
            rest=self._rest,
            transfer_to=frozenset(self._settings.transfer_to),
            recordings=self._settings.recordings,
            consults=self._rest is not None and self._rest.can_call,
        )
        if expected_by is not None:
            await _given_to(expected_by, transport)
            return
        if self._settings.recordings and self._sessions.follow().phone.record_all:
            await transport.call.record(consented=True)
        try:
            await self._sessions.run_call(
                transport, transport.call, consult=self._consult(transport)
            )
        except AtCapacityError:
            await line.close(_TRY_AGAIN_LATER)

    def _consult(self, transport: PhoneTransport) -> Consult | None:
        if self._rest is None or not self._rest.can_call:
            return None
        switchboard = Conference(self._rest, self._expect, transport)
        return Consultation(self._sessions, switchboard, transport.call)

    def _as_sent(self, request: HTTPConnection, scheme: str, body: bytes) -> webhooks.Request:
        """The request as the provider sent it: proxies in between change host and scheme."""
        public = urlsplit(self._settings.public_url)
        query = request.url.query
        target = request.url.path + (f"?{query}" if query else "")
        if public.scheme == "http":
            scheme = {"https": "http", "wss": "ws"}[scheme]
        headers = {name.lower(): value for name, value in request.headers.items()}
        return webhooks.Request(
            f"{scheme}://{public.netloc}{target}", public.netloc, target, query, headers, body
        )


def _facts(stream: MediaStream, started: Started, announced: CallFacts | None) -> CallFacts:
    """What webhook and stream say together.

    Raises:
        MalformedError: They speak of different calls.
    """
    if announced is None:
        return CallFacts(
            started.call_id, stream.name, started.caller, started.called, headers=started.headers
        )
    if stream.names_call_alike and started.call_id != announced.id:
        raise MalformedError("the stream is of another call than the webhook announced")
    return CallFacts(
        started.call_id,
        stream.name,
        announced.caller or started.caller,
        announced.called or started.called,
        announced.direction,
        started.headers,
    )


async def _given_to(
    expected_by: "asyncio.Future[PhoneTransport]", transport: PhoneTransport
) -> None:
    """Hand a stream to who waits for it, and keep it open as long as it is used."""
    if expected_by.done():
        await transport.hang_up()
        return
    expected_by.set_result(transport)
    await transport.call.over.wait()


def _response(answer: Answer) -> Response:
    return Response(answer.body, answer.status, media_type=answer.media_type)


async def _body(request: Request) -> bytes | None:
    """A body of 64 KiB at most, else None."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_MESSAGE:
            return None
    return bytes(body)
