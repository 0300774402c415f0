"""The Realtime protocol's WebSocket, around one session."""

import asyncio
import contextlib
import json
import secrets
from collections.abc import Mapping
from typing import Any

from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.errors import AudioFormatError
from agent.parakeet.realtime.item import Send
from agent.parakeet.realtime.session import ROUTE, RealtimeSession
from agent.parakeet.realtime.settings import Event, EventError
from agent.parakeet.service import Service

GOING_AWAY = 1001

_MOST_QUEUED = 500

_LAST_WORDS_S = 1.0
"""For a client to take what is queued for it when its connection ends."""


async def realtime(service: Service, websocket: WebSocket) -> None:
    """Serve one connection."""
    await websocket.accept(subprotocol=_subprotocol(websocket))
    queue: asyncio.Queue[Event | None] = asyncio.Queue()

    def send(event: Event) -> None:
        if queue.qsize() < _MOST_QUEUED or not event["type"].endswith(".delta"):
            queue.put_nowait(event)

    session = RealtimeSession(service, send, websocket.query_params.get("model"))
    session.begin()
    writing = asyncio.create_task(_write(websocket, queue))
    tasks = [
        asyncio.create_task(_read(service, websocket, session, send)),
        writing,
        asyncio.create_task(_leave(service, session)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        # The last final was queued a moment ago; it goes out before the goodbye.
        queue.put_nowait(None)
        await asyncio.wait({writing}, timeout=_LAST_WORDS_S)
    finally:
        session.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await websocket.close(GOING_AWAY, "the server shuts down")


async def _read(
    service: Service, websocket: WebSocket, session: RealtimeSession, send: Send
) -> None:
    while (event := await websocket.receive())["type"] != "websocket.disconnect":
        try:
            session.read(_parsed(event.get("text") or ""))
        except (EventError, AudioFormatError) as error:
            service.metrics.bad_messages.labels(ROUTE).inc()
            send(_told(error))


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise EventError("not JSON", "invalid_json") from None
    if not isinstance(event, dict):
        raise EventError("an event is an object", "invalid_json")
    return event


def _told(error: EventError | AudioFormatError) -> Event:
    code, param = (
        (error.code, error.param) if isinstance(error, EventError) else ("invalid_value", None)
    )
    return {
        "type": "error",
        "event_id": f"event_{secrets.token_hex(8)}",
        "error": {
            "type": "invalid_request_error",
            "code": code,
            "message": str(error),
            "param": param,
            "event_id": None,
        },
    }


async def _write(websocket: WebSocket, queue: asyncio.Queue[Event | None]) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while (event := await queue.get()) is not None:
            await websocket.send_text(json.dumps(event))


async def _leave(service: Service, session: RealtimeSession) -> None:
    """During a drain, go at the first moment between two utterances.

    The protocol has no word for it: a client that reconnects finds another server.
    """
    await service.draining.wait()
    idle = asyncio.create_task(session.idle.wait())
    drained = asyncio.create_task(service.drained.wait())
    await asyncio.wait({idle, drained}, return_when=asyncio.FIRST_COMPLETED)
    idle.cancel()
    drained.cancel()


def _subprotocol(websocket: WebSocket) -> str | None:
    offered = websocket.scope.get("subprotocols") or []
    return "realtime" if "realtime" in offered else None
