"""How a refusal is told: by status and Retry-After, before a WebSocket is accepted."""

import json
import math
from typing import Any

from fastapi import FastAPI, Request, Response, WebSocket
from fastapi.responses import JSONResponse
from starlette.websockets import WebSocketState

from agent.server.admission import RefusedError

_POLICY_VIOLATION, _TRY_AGAIN_LATER = 1008, 1013


def add_refusals(app: FastAPI) -> None:
    """Have every `RefusedError` that a route lets through answered."""

    async def answer(connection: Any, error: Exception) -> Response | None:
        assert isinstance(error, RefusedError)
        if isinstance(connection, WebSocket):
            await _turn_away(connection, error)
            return None
        assert isinstance(connection, Request)
        return refusal(error)

    app.add_exception_handler(RefusedError, answer)  # type: ignore[arg-type]


def refusal(error: RefusedError) -> JSONResponse:
    """The answer to somebody who is turned away."""
    headers = {}
    if error.retry_after_s is not None:
        headers["Retry-After"] = str(math.ceil(error.retry_after_s))
    if error.status == 401:
        headers["WWW-Authenticate"] = "Bearer"
    return JSONResponse({"error": str(error)}, status_code=error.status, headers=headers)


async def close_with(websocket: WebSocket, code: int, why: str) -> None:
    """Close an accepted socket, and say why first."""
    await websocket.send_text(json.dumps({"type": "error", "message": why, "fix": why}))
    await websocket.close(code, why[:120])


async def _turn_away(websocket: WebSocket, error: RefusedError) -> None:
    if websocket.application_state is WebSocketState.CONNECTED:
        later = error.retry_after_s is not None
        await close_with(websocket, _TRY_AGAIN_LATER if later else _POLICY_VIOLATION, str(error))
    else:
        await websocket.send_denial_response(refusal(error))
