"""Who talks now: every conversation from its first moment to its last, its client there or away."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence

from loguru import logger
from pipecat.transports.base_transport import BaseTransport

from agent.observe.metrics import Metrics
from agent.processors.frames import ClientEventFrame
from agent.server.admission import Place
from agent.session import VoiceSession, close


class Roster:
    """The conversations of this process.

    Args:
        metrics: Told how long each lasted, who came back, and what failed.
    """

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._running: dict[VoiceSession, asyncio.Task[None]] = {}
        self._away: set[VoiceSession] = set()
        self._returning: set[asyncio.Task[None]] = set()

    def __len__(self) -> int:
        return len(self._running)

    @property
    def sessions(self) -> list[VoiceSession]:
        """All that run, in the order in which they began."""
        return list(self._running)

    @property
    def tasks(self) -> list["asyncio.Task[None]"]:
        """What each of them runs in."""
        return list(self._running.values())

    def task(self, session: VoiceSession) -> "asyncio.Task[None]":
        """What a conversation that runs runs in."""
        return self._running[session]

    def deepest(self, queue: str) -> float:
        """Of the queues of that name."""
        return max((session.depth(queue) for session in self._running), default=0.0)

    def begin(
        self,
        session: VoiceSession,
        transport: BaseTransport,
        place: Place,
        *,
        channel: str,
        greets: bool,
        after: Sequence[Callable[[], object]] = (),
    ) -> None:
        """Run a conversation, which gives its place back when it ends.

        Args:
            session: Not begun.
            transport: Tells of its client.
            place: Held for it.
            channel: What it is counted under.
            greets: Whether the agent speaks first.
            after: Called in order when it has ended.
        """
        self._follow(session, transport, greets=greets)
        task = asyncio.create_task(session.run(), name=f"session-{session.id}")
        self._running[session] = task
        began_s = time.monotonic()
        self._metrics.sessions.labels(channel).inc()

        def over(done: "asyncio.Task[None]") -> None:
            self._metrics.session_s.labels(channel).observe(time.monotonic() - began_s)
            self._forget(session, place, done)
            for call in after:
                call()

        task.add_done_callback(over)

    def lost(self, session: VoiceSession) -> None:
        """The client is gone, and may come back."""
        self._away.add(session)
        logger.info("session {} waits for its client", session.id)
        session.hold()

    def found(self, session: VoiceSession) -> None:
        """The client has come back."""
        self._away.discard(session)
        self._metrics.reconnects.inc()
        logger.info("session {} goes on", session.id)
        returning = asyncio.create_task(session.go_on(), name=f"back-{session.id}")
        self._returning.add(returning)
        returning.add_done_callback(self._returning.discard)

    async def drain(self, within_s: float) -> None:
        """Let those who talk finish what is being said; nobody waits for who is away."""
        for session in tuple(self._away):
            await session.cancel()
        running = list(self._running.items())
        await asyncio.gather(*(close(session, task, within_s) for session, task in running))

    def _follow(self, session: VoiceSession, transport: BaseTransport, *, greets: bool) -> None:
        is_known = False

        async def on_client_connected(*_: object) -> None:
            nonlocal is_known
            if is_known:
                self.found(session)
                return
            is_known = True
            await session.worker.queue_frame(ClientEventFrame(event=session.ready_event()))
            if greets:
                await session.greet()

        async def on_client_disconnected(*_: object) -> None:
            await session.cancel()

        async def on_client_away(*_: object) -> None:
            self.lost(session)

        handlers: dict[str, Callable[..., Awaitable[None]]] = {
            "on_client_away": on_client_away,
            "on_client_connected": on_client_connected,
            "on_client_disconnected": on_client_disconnected,
        }
        for name, handler in handlers.items():
            transport.add_event_handler(name, handler)

    def _forget(self, session: VoiceSession, place: Place, task: "asyncio.Task[None]") -> None:
        del self._running[session]
        self._away.discard(session)
        place.release()
        if not task.cancelled() and (error := task.exception()):
            self._metrics.failed.inc()
            logger.opt(exception=error).error("session {} failed", session.id)
