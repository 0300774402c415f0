"""One ASGI app: the page, WebRTC offers, the plain stream and the server's state."""

import json
from importlib.metadata import version
from pathlib import Path
from typing import Annotated, Any

from fastapi import FastAPI, Query, Request, Response, WebSocket
from fastapi.responses import FileResponse, JSONResponse
from fastapi.staticfiles import StaticFiles
from prometheus_client import CONTENT_TYPE_LATEST
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from agent.server.asterisk import add_asterisk
from agent.server.phone import add_phone
from agent.server.realtime import add_realtime, add_rtvi
from agent.server.refusals import add_refusals, close_with
from agent.server.sessions import Sessions
from agent.server.speaking import add_speech
from agent.server.transcribing import add_transcriptions
from agent.transports.stream import StreamTransport

_PACKAGE = Path(__file__).resolve().parent.parent
WEB = next(path for path in (_PACKAGE / "web", _PACKAGE.parent / "web") if path.is_dir())
"""The page's files: inside the installed package, beside it in the repository."""

CONTENT_SECURITY_POLICY = (
    "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; "
    "connect-src 'self' ws: wss:; media-src 'self' blob: mediastream:; worker-src 'self' blob:; "
    "font-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
)

_RATES = (8_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000)

_POLICY_VIOLATION = 1008

_MAX_BODY = 128 * 1024
"""Bytes of a request; an offer of a browser's has 4000."""


def build_app(sessions: Sessions) -> FastAPI:
    """The app that serves `sessions`."""
    app = FastAPI(title="Duplex", docs_url=None, redoc_url=None, openapi_url=None)
    app.add_middleware(SecurityHeaders)
    add_refusals(app)
    admission = sessions.admission
    app.mount("/web", StaticFiles(directory=WEB), name="web")

    @app.api_route("/", methods=["GET", "HEAD"])
    async def page() -> FileResponse:
        return FileResponse(WEB / "index.html")

    @app.get("/healthz")
    async def healthz() -> dict[str, str]:
        return {"status": "alive"}

    @app.get("/readyz")
    async def readyz() -> JSONResponse:
        ready = sessions.is_ready
        state = "ready" if ready else "draining"
        return JSONResponse({"status": state}, status_code=200 if ready else 503)

    @app.get("/metrics")
    async def metrics(request: Request) -> Response:
        admission.identify(request)
        return Response(sessions.metrics.text(), media_type=CONTENT_TYPE_LATEST)

    @app.get("/api/status")
    async def status(request: Request) -> dict[str, Any]:
        admission.identify(request)
        return {
            "name": sessions.settings.agent.name,
            "version": version("duplex-voice"),
            "webrtc": sessions.has_webrtc,
            "offline": sessions.is_offline,
            "models": sessions.models.names,
            "sessions": {"active": sessions.active, "limit": sessions.admission.limit},
        }

    @app.post("/api/tokens")
    async def token(request: Request) -> dict[str, Any]:
        admission.limit_rate(request)
        admission.identify(request)
        return {"token": admission.issue(), "expires_s": admission.token_s}

    @app.post("/api/offer")
    async def offer(request: Request) -> Response:
        return await _offer(sessions, request)

    @app.patch("/api/offer")
    async def candidates(request: Request) -> Response:
        return await _candidates(sessions, request)

    @app.websocket("/v1/stream")
    async def stream(
        websocket: WebSocket,
        sample_rate: Annotated[int, Query()] = 16_000,
        events: Annotated[str, Query()] = "basic",
        resume: Annotated[str, Query()] = "",
    ) -> None:
        if sessions.may_rejoin(resume, sample_rate):
            # The key is a secret that only its caller was told; the place is held already.
            admission.limit_rate(websocket)
            admission.check_origin(websocket)
            await websocket.accept()
            await sessions.rejoin(resume, websocket)
        else:
            await _stream(sessions, websocket, sample_rate, all_events=events == "all")

    add_phone(app, sessions)
    add_asterisk(app, sessions)
    add_realtime(app, sessions)
    add_rtvi(app, sessions)
    add_speech(app, sessions)
    add_transcriptions(app, sessions)
    return app


async def _stream(
    sessions: Sessions, websocket: WebSocket, sample_rate: int, *, all_events: bool
) -> None:
    with sessions.admission.enter(websocket) as place:
        await websocket.accept()
        if sample_rate not in _RATES:
            rates = ", ".join(map(str, _RATES))
            await close_with(websocket, _POLICY_VIOLATION, f"sample_rate must be one of {rates}")
            return
        # Who is sent basic events only is never told how to come back.
        rejoin_s = sessions.settings.server.rejoin_s if all_events else 0.0
        transport = StreamTransport(websocket, sample_rate, rejoin_s=rejoin_s)
        await sessions.run_stream(transport, sample_rate, place, all_events=all_events)


async def _offer(sessions: Sessions, request: Request) -> Response:
    body = await _webrtc_body(sessions, request)
    if isinstance(body, Response):
        return body
    if not isinstance(body.get("sdp"), str) or body.get("type") != "offer":
        return _error(400, 'send {"sdp": "...", "type": "offer"}')
    try:
        # A connection's name is a secret that only its caller was told.
        if sessions.knows(body.get("pc_id")):
            return JSONResponse(await sessions.negotiate(body))
        return JSONResponse(await sessions.answer(body, sessions.admission.enter(request)))
    except ValueError as error:
        return _error(400, f"the offer cannot be answered: {error}")


async def _candidates(sessions: Sessions, request: Request) -> Response:
    body = await _webrtc_body(sessions, request)
    if isinstance(body, Response):
        return body
    if not isinstance(body.get("pc_id"), str):
        return _error(400, 'send {"pc_id": "...", "candidates": [...]}')
    try:
        await sessions.add_candidates(body)
    except KeyError:
        return _error(404, "no such connection; send a new offer")
    except ValueError as error:
        return _error(400, f"unusable candidates: {error}")
    return JSONResponse({"status": "ok"})


async def _webrtc_body(sessions: Sessions, request: Request) -> dict[str, Any] | Response:
    sessions.admission.check_origin(request)
    if not sessions.has_webrtc:
        return _error(501, 'WebRTC is not installed; pip install "duplex-voice[webrtc]"')
    received = bytearray()
    async for piece in request.stream():
        received += piece
        if len(received) > _MAX_BODY:
            return _error(413, f"a request has at most {_MAX_BODY} bytes")
    try:
        body = json.loads(received)
    except (ValueError, RecursionError):
        return _error(400, "send a JSON object")
    return body if isinstance(body, dict) else _error(400, "send a JSON object")


def _error(status: int, message: str) -> JSONResponse:
    return JSONResponse({"error": message}, status_code=status)


class SecurityHeaders:
    """Adds the content security policy and its kin to every response."""

    _HEADERS = (
        (b"content-security-policy", CONTENT_SECURITY_POLICY.encode()),
        (b"x-content-type-options", b"nosniff"),
        (b"referrer-policy", b"no-referrer"),
        (b"permissions-policy", b"microphone=(self), camera=()"),
        # A page from the cache beside a newer server speaks another protocol.
        (b"cache-control", b"no-cache"),
    )

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve, with headers."""

        async def send_with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                message["headers"] = [*message["headers"], *self._HEADERS]
            await send(message)

        await self._app(scope, receive, send_with_headers)
