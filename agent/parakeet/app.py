"""The front's ASGI app: every protocol's door, and the keys to it."""

import hmac
from collections.abc import Sequence
from typing import Any

from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route, WebSocketRoute
from starlette.websockets import WebSocket

from agent.parakeet import kserve
from agent.parakeet.native.sessions import UNAUTHORISED, Sessions
from agent.parakeet.realtime.socket import realtime
from agent.parakeet.refusals import astray, broken, no_socket, refusal, socket_only
from agent.parakeet.service import Service
from agent.parakeet.transcriptions import transcriptions, unready


def build_app(service: Service, keys: Sequence[str] = (), max_sessions: int = 512) -> Starlette:
    """The app that serves `service`.

    Args:
        service: Running, or about to.
        keys: Any of these opens the recognition routes; none leaves them open. Health and metrics
            are always open.
        max_sessions: Native sessions at once.
    """
    sessions = Sessions(service, max_sessions)
    doors = Doors(keys)

    async def live(_request: Request) -> Response:
        return JSONResponse({"live": True})

    async def ready(_request: Request) -> Response:
        return JSONResponse(
            {"ready": service.is_ready, "draining": service.is_draining},
            200 if service.is_ready else 503,
        )

    async def metrics(_request: Request) -> Response:
        text = generate_latest(service.metrics.registry)
        return Response(text, headers={"Content-Type": CONTENT_TYPE_LATEST})

    async def about(_request: Request) -> Response:
        return JSONResponse(kserve.metadata())

    async def model(request: Request) -> Response:
        return JSONResponse(kserve.model_metadata(request.path_params["name"]))

    async def models(_request: Request) -> Response:
        data = [_listed(name) for name in _names(service)]
        return JSONResponse({"object": "list", "data": data})

    async def listed(request: Request) -> Response:
        name = request.path_params["name"]
        if name not in _names(service):
            there = ", ".join(_names(service)) or "none, for it is still loading"
            raise HTTPException(404, f"there is no model {name!r}; there is {there}")
        return JSONResponse(_listed(name))

    async def transcribe(request: Request) -> Response:
        return doors.refuse(request) or await transcriptions(service, request)

    async def infer(request: Request) -> Response:
        return doors.refuse(request) or await kserve.infer(service, request)

    async def stream(websocket: WebSocket) -> None:
        if not doors.open_to(websocket):
            await websocket.accept()
            await websocket.close(UNAUTHORISED, "missing or wrong key")
        else:
            await sessions.serve(websocket)

    async def speak(websocket: WebSocket) -> None:
        # Denied before the handshake, as OpenAI does: its clients then report the status.
        if (refused := doors.refuse(websocket)) is not None:
            await websocket.send_denial_response(refused)
        elif not service.accepts:
            await websocket.send_denial_response(refusal(unready(service)))
        else:
            await realtime(service, websocket)

    return Starlette(
        routes=[
            Route("/livez", live),
            Route("/readyz", ready),
            Route("/metrics", metrics),
            Route("/v2", about),
            Route("/v2/health/live", live),
            Route("/v2/health/ready", ready),
            Route("/v2/models/{name}", model),
            Route("/v2/models/{name}/ready", ready),
            Route("/v2/models/{name}/infer", infer, methods=["POST"]),
            Route("/v1/models", models),
            Route("/v1/models/{name:path}", listed),
            Route("/v1/audio/transcriptions", transcribe, methods=["POST"]),
            WebSocketRoute("/v1/stream", stream),
            WebSocketRoute("/v1/realtime", speak),
            Route("/v1/stream", socket_only),
            Route("/v1/realtime", socket_only),
            WebSocketRoute("/{path:path}", no_socket),
        ],
        exception_handlers={HTTPException: astray, Exception: broken},
    )


def _names(service: Service) -> list[str]:
    return list(dict.fromkeys(facts.model for facts in service.facts))


def _listed(name: str) -> dict[str, Any]:
    return {"id": name, "object": "model", "created": 0, "owned_by": "duplex"}


class Doors:
    """Who may come in."""

    def __init__(self, keys: Sequence[str]) -> None:
        self._keys = [key.encode() for key in keys]

    def open_to(self, connection: HTTPConnection) -> bool:
        """Whether a request has a key, where one is needed."""
        if not self._keys:
            return True
        scheme, _, key = connection.headers.get("authorization", "").partition(" ")
        given = key.encode("utf-8", "surrogateescape")
        # Every key is compared, so that the time tells nothing.
        found = [hmac.compare_digest(given, known) for known in self._keys]
        return scheme.lower() == "bearer" and any(found)

    def refuse(self, connection: HTTPConnection) -> Response | None:
        """The answer to who has none; None to who has one."""
        if self.open_to(connection):
            return None
        error = {"message": "missing or wrong key", "type": "authentication_error"}
        return JSONResponse(
            {"error": {**error, "param": None, "code": "invalid_api_key"}},
            401,
            {"WWW-Authenticate": "Bearer"},
        )
