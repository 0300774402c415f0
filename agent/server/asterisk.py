"""Answer the calls that Asterisk brings over AudioSocket and over its WebSocket channel."""

import asyncio
import contextlib
import hmac
from collections.abc import AsyncIterator

from fastapi import FastAPI, WebSocket
from loguru import logger

from agent.errors import SettingsError
from agent.observe.mask import mask_logs
from agent.server.admission import AtCapacityError
from agent.server.sessions import Sessions
from agent.transports.asterisk.audiosocket import AudioSocketCall, listen
from agent.transports.asterisk.websocket import AsteriskStream
from agent.transports.line import LineTransport
from agent.transports.phone.call import CallFacts
from agent.transports.phone.line import WebSocketLine
from agent.transports.phone.opening import NeverStartedError, opened
from agent.transports.phone.transport import PhoneTransport
from agent.transports.phone.wire import MalformedError

_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013
_SUBPROTOCOL = "media"


def add_asterisk(app: FastAPI, sessions: Sessions) -> None:
    """Add the route of the WebSocket channel, if it has a token."""
    token = sessions.settings.asterisk.token
    if token is None:
        return
    mask_logs()
    expected = token.get_secret_value().encode()

    @app.websocket("/phone/asterisk/stream/{given}")
    async def stream(websocket: WebSocket, given: str) -> None:
        if not hmac.compare_digest(given.encode(), expected):
            logger.warning("refused a channel of Asterisk: its token is another one")
            await websocket.close(_POLICY_VIOLATION)
            return
        offered = websocket.scope.get("subprotocols", ())
        await websocket.accept(_SUBPROTOCOL if _SUBPROTOCOL in offered else None)
        await _converse(sessions, websocket)


@contextlib.asynccontextmanager
async def audiosocket(sessions: Sessions) -> AsyncIterator[asyncio.Server | None]:
    """Answer AudioSocket's calls while this context lasts; nothing if no port is set.

    Raises:
        SettingsError: The port is taken.
    """
    settings = sessions.settings.asterisk
    if settings.audiosocket_port is None:
        yield None
        return

    mask_logs()

    phone = sessions.settings.phone

    async def on_call(call: AudioSocketCall) -> None:
        try:
            if phone.recordings and sessions.follow().phone.record_all:
                await call.call.record(consented=True)
            await sessions.run_call(LineTransport(call), call.call)
        except AtCapacityError as error:
            logger.warning("refused an AudioSocket call: {}", error)
        finally:
            await call.hang_up()

    host, port = settings.host, settings.audiosocket_port
    try:
        server = await listen(host, port, on_call, phone.recordings)
    except OSError as error:
        raise SettingsError(
            f"cannot take AudioSocket calls on {host}:{port}: {error.strerror}; set "
            "DUPLEX_ASTERISK__AUDIOSOCKET_PORT to a free port, or to 0 for any"
        ) from error
    address = server.sockets[0].getsockname()
    print(f"AudioSocket calls are answered on {address[0]}:{address[1]}", flush=True)
    try:
        yield server
    finally:
        server.close()


async def _converse(sessions: Sessions, websocket: WebSocket) -> None:
    line, stream = WebSocketLine(websocket), AsteriskStream()
    try:
        started = await opened(line, stream)
    except (NeverStartedError, MalformedError) as error:
        logger.warning("refused a channel of Asterisk: {}", error)
        await line.close(_POLICY_VIOLATION)
        return
    facts = CallFacts(started.call_id, stream.name, started.caller, started.called)
    recordings = sessions.settings.phone.recordings
    transport = PhoneTransport(line, stream, facts, recordings=recordings)
    if recordings and sessions.follow().phone.record_all:
        await transport.call.record(consented=True)
    try:
        await sessions.run_call(transport, transport.call)
    except AtCapacityError:
        await line.close(_TRY_AGAIN_LATER)
