"""The sockets of other people's clients: OpenAI's `/v1/realtime`, and Pipecat's `/v1/rtvi`."""

import json

from fastapi import FastAPI, WebSocket

from agent.server.sessions import Sessions

_POLICY_VIOLATION = 1008

_SUBPROTOCOL = "realtime"
"""What browsers ask for; beside it they put their key, as they can send no header."""

_BETA = "openai-beta.realtime-v1"


def add_realtime(app: FastAPI, sessions: Sessions) -> None:
    """Add the route."""

    @app.websocket("/v1/realtime")
    async def realtime(
        websocket: WebSocket, intent: str = "conversation", greeting: bool = False
    ) -> None:
        with sessions.admission.enter(websocket) as place:
            offered = websocket.scope.get("subprotocols", ())
            await websocket.accept(_SUBPROTOCOL if _SUBPROTOCOL in offered else None)
            if intent == "transcription":
                why = "this server holds conversations; duplex asr-server transcribes"
                await _refuse(websocket, why)
                return
            asked = websocket.headers.get("openai-beta", "")
            is_beta = "realtime=v1" in asked or _BETA in offered
            await sessions.run_realtime(websocket, place, is_beta=is_beta, greets=greeting)


def add_rtvi(app: FastAPI, sessions: Sessions) -> None:
    """Add the route of Pipecat's client SDKs."""

    @app.websocket("/v1/rtvi")
    async def rtvi(websocket: WebSocket) -> None:
        with sessions.admission.enter(websocket) as place:
            await websocket.accept()
            await sessions.run_rtvi(websocket, place)


async def _refuse(websocket: WebSocket, why: str) -> None:
    error = {"type": "invalid_request_error", "code": None, "message": why, "param": "intent"}
    event = {"event_id": "event_refused", "type": "error", "error": {**error, "event_id": None}}
    await websocket.send_text(json.dumps(event))
    await websocket.close(_POLICY_VIOLATION, why)
