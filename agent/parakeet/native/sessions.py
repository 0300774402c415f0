"""All callers of the native protocol: who is connected, and who may come back."""

import asyncio
import contextlib

from starlette.websockets import WebSocket

from agent.parakeet.native.connection import Connection
from agent.parakeet.native.messages import PROTOCOL
from agent.parakeet.native.session import Message, Session
from agent.parakeet.service import Service

RESUME_S = 30.0
"""How long a session waits for its client to come back."""

TRY_LATER, UNAUTHORISED = 1013, 4401


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

    def _leave(self, session: Session, connection: Connection) -> None:
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
