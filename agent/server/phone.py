"""Where providers ring: their webhooks and their media streams.

Nothing begins before it is known who asks: a webhook by its signature, a stream by the one-time
address the webhook was answered with, and by its own signature where the provider has one.
"""

import asyncio
import time
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
from agent.transports.phone.line import WebSocketLine
from agent.transports.phone.opening import NeverStartedError, opened
from agent.transports.phone.providers.stream import MediaStream
from agent.transports.phone.rest import TwilioRest, rest
from agent.transports.phone.transport import PhoneTransport
from agent.transports.phone.webhooks import ConnectingGate, Gate, WebhookGate, gates
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

        if isinstance(provider.gate, ConnectingGate):

            @app.post(f"/phone/{provider.name}/connect/{{ticket}}")
            async def connect(request: Request, ticket: str) -> Response:
                return await provider.connect(request, ticket)
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
        self._destinations: Tickets[str] = Tickets()
        self._rest = rest(self._settings, name, self._connecting)
        self._expected: dict[str, asyncio.Future[PhoneTransport]] = {}

    async def connect(self, request: Request, ticket: str) -> Response:
        """Answer a call that is being transferred: where it goes."""
        gate = self.gate
        assert isinstance(gate, ConnectingGate)
        body = await _body(request)
        if body is None:
            return Response(status_code=413)
        if not gate.admits(self._as_sent(request, "https", body), time.time()):
            logger.warning("refused a webhook: no signature of {} fits", self.name)
            return Response(status_code=403)
        to = self._destinations.redeem(ticket, time.monotonic())
        if to is None:
            return Response(status_code=404)
        given = gate.connect(to)
        return Response(given.body, given.status, media_type=given.media_type)

    def _expect(self, facts: CallFacts) -> Expected:
        """Make an address for the stream of a call of ours."""
        ticket = self._tickets.issue(facts, time.monotonic())
        coming = asyncio.get_running_loop().create_future()
        self._expected[ticket] = coming
        coming.add_done_callback(lambda _: self._expected.pop(ticket, None))
        return Expected(self._stream_url(ticket), coming)

    def _stream_url(self, ticket: str) -> str:
        host = urlsplit(self._settings.public_url).netloc
        scheme = "ws" if self._settings.public_url.startswith("http://") else "wss"
        return f"{scheme}://{host}/phone/{self.name}/stream/{ticket}"

    def _connecting(self, to: str) -> str:
        ticket = self._destinations.issue(to, time.monotonic())
        return f"{self._settings.public_url}/phone/{self.name}/connect/{ticket}"

    async def answer(self, request: Request) -> Response:
        """Answer a webhook: where the stream goes, or that we are busy."""
        gate = self.gate
        assert isinstance(gate, WebhookGate)
        body = await _body(request)
        if body is None:
            return Response(status_code=413)
        asked = self._as_sent(request, "https", body)
        if not gate.admits(asked, time.time()):
            logger.warning("refused a webhook: no signature of {} fits", self.name)
            return Response(status_code=403)
        try:
            facts = gate.facts(asked)
        except MalformedError as error:
            logger.warning("refused a webhook of {}: {}", self.name, error)
            return Response(status_code=400)
        try:
            self._sessions.require_place()
        except AtCapacityError:
            given = gate.busy()
        else:
            ticket = self._tickets.issue(facts, time.monotonic())
            given = gate.answer(self._stream_url(ticket), facts)
        return Response(given.body, given.status, media_type=given.media_type)

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
            consults=isinstance(self._rest, TwilioRest),
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
        if not isinstance(self._rest, TwilioRest):
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
    # A call of ours is named by the provider after it was told where its stream goes.
    is_ours = announced.direction is Direction.OUTBOUND
    if stream.names_call_alike and not is_ours and started.call_id != announced.id:
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


async def _body(request: Request) -> bytes | None:
    """A body of 64 KiB at most, else None."""
    body = bytearray()
    async for piece in request.stream():
        body += piece
        if len(body) > MAX_MESSAGE:
            return None
    return bytes(body)
