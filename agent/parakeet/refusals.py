"""What HTTP says where there is no transcript: OpenAI's errors and KServe's."""

import json
import math
from collections.abc import Mapping
from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import Message
from starlette.websockets import WebSocket

from agent.parakeet.errors import RequestError, TooLongError

_CODES = {400: "bad_input", 404: "not_found", 405: "method_not_allowed", 426: "upgrade_required"}

_PLACES = (
    "POST /v1/audio/transcriptions, GET /v1/models, WS /v1/realtime?intent=transcription, "
    "WS /v1/stream, /v2/models/NAME/infer, /livez, /readyz and /metrics"
)


def refusal(error: RequestError) -> JSONResponse:
    """A failure as OpenAI's clients read it."""
    headers = {}
    if error.retry_after_s is not None:
        # HTTP counts whole seconds; the SDKs read the second one first.
        headers["Retry-After"] = str(max(1, math.ceil(error.retry_after_s)))
        headers["Retry-After-Ms"] = str(max(1, math.ceil(error.retry_after_s * 1000)))
    if not error.retryable:
        headers["X-Should-Retry"] = "false"
    return JSONResponse(_openai(str(error), error.status, error.code), error.status, headers)


def kserve_refusal(error: RequestError) -> Response:
    """The same for KServe's clients, whose errors are a text."""
    told = refusal(error)
    headers = {key: value for key, value in told.headers.items() if "length" not in key}
    return Response(json.dumps({"error": str(error)}).encode(), error.status, headers)


async def astray(request: Request, error: Exception) -> Response:
    """Nothing is there, or not for this method, or the form is broken."""
    assert isinstance(error, HTTPException)
    path, status, message = request.url.path, error.status_code, error.detail
    if message == HTTPStatus(status).phrase:
        message = {
            404: f"there is no {path}; there are {_PLACES}",
            405: f"{request.method} does not work at {path}",
        }.get(status, message)
    return _told(request, message, status, error.headers)


async def broken(request: Request, _error: Exception) -> Response:
    """A fault of ours; it is in the log."""
    return _told(request, "the server failed at this request; its log says how", 500)


async def socket_only(request: Request) -> Response:
    """A plain request to a WebSocket's address."""
    message = f"{request.url.path} is a WebSocket"
    return _told(request, message, 426, {"Upgrade": "websocket"})


async def no_socket(websocket: WebSocket) -> None:
    """A WebSocket is asked for where there is none: told before the handshake, as a status."""
    message = f"there is no WebSocket {websocket.url.path}; there are {_PLACES}"
    await websocket.send_denial_response(JSONResponse(_openai(message, 404, _CODES[404]), 404))


def bounded(request: Request, most_bytes: int) -> Request:
    """The request again; whoever reads more than `most_bytes` of its body gets an error.

    Raises:
        TooLongError: It says that it is longer. Where it does not say, reading it raises this.
    """
    error = TooLongError(f"an upload has at most {most_bytes >> 20} MiB")
    said = request.headers.get("content-length", "0")
    if said.isdigit() and int(said) > most_bytes:
        raise error
    read = 0

    async def receive() -> Message:
        nonlocal read
        message = await request.receive()
        read += len(message.get("body", b""))
        if read > most_bytes:
            raise error
        return message

    return Request(request.scope, receive)


def _told(
    request: Request, message: str, status: int, headers: Mapping[str, str] | None = None
) -> Response:
    if request.url.path.startswith("/v2"):
        return JSONResponse({"error": message}, status, headers)
    return JSONResponse(_openai(message, status, _CODES.get(status, "internal")), status, headers)


def _openai(message: str, status: int, code: str) -> dict[str, object]:
    kind = "invalid_request_error" if status < 500 else "server_error"
    return {"error": {"message": message, "type": kind, "param": None, "code": code}}
