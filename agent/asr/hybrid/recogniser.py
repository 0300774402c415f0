"""Edge and cloud as one recogniser: the core's orders carried out, its outcomes told."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field

from agent.asr.cloud.client import CloudLostError, CloudRefusedError, Feed
from agent.asr.cloud.cloud import Cloud
from agent.asr.hybrid.audio import UtteranceAudio
from agent.asr.hybrid.core import HybridCore, HybridSettings
from agent.asr.hybrid.edge import EdgeWorker, Trouble
from agent.asr.hybrid.events import Ask, Begin, Cancel, Mode, Order, Outcome
from agent.asr.hybrid.health import CloudHealth
from agent.asr.hypothesis import Hypothesis, Recogniser
from agent.audio.chunk import Int16Array

Tell = Callable[[Outcome], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Sides:
    """What a session recognises with.

    Attributes:
        edge: Its own recogniser; None in the mode ``cloud``.
        cloud: Shared by the process; None in the mode ``edge``.
        settings: How they share the work.
    """

    edge: Recogniser | None
    cloud: Cloud | None = None
    settings: HybridSettings = field(default_factory=HybridSettings)

    def __post_init__(self) -> None:
        if (self.edge is None) != (self.settings.mode is Mode.CLOUD):
            raise ValueError(f"mode {self.settings.mode} and an edge of {self.edge} do not agree")


class HybridRecogniser:
    """One session's recogniser.

    All methods belong to the event loop on which `run` runs and return at once: the edge works on
    its thread, connections are awaited in tasks of their own, so neither side ever waits for the
    other.
    """

    def __init__(
        self,
        sides: Sides,
        executor: Executor,
        tell: Tell,
        trouble: Callable[[Trouble], None] = lambda trouble: None,
        *,
        is_private: bool = False,
    ) -> None:
        """Prepare; nothing is recognised until `run` runs.

        Args:
            sides: Who recognises.
            executor: One worker thread, for the edge.
            tell: Takes outcomes, one at a time, in order.
            trouble: Told when the edge is late or fails, and no cloud stands beside it.
            is_private: Whether speech stays on this machine from the start.
        """
        self._cloud = sides.cloud if sides.settings.mode is not Mode.EDGE else None
        health = self._cloud.health if self._cloud else CloudHealth()
        self._core = HybridCore(sides.settings, health)
        self._edge = None
        if sides.edge:
            tells = trouble if self._cloud is None else lambda _: None
            self._edge = EdgeWorker(sides.edge, executor, self._on_edge, tells)
        self._client = self._cloud.new_client() if self._cloud else None
        self._tell = tell
        # A few a second, taken at once: its bound is the recogniser's own pace.
        self._outcomes: asyncio.Queue[Outcome] = asyncio.Queue()
        self._audio: dict[int, UtteranceAudio] = {}
        self._current = 0
        self._feeds: dict[int, Feed] = {}
        self._tasks: dict[int, asyncio.Task[None]] = {}
        self._group: asyncio.TaskGroup | None = None
        self._timer: asyncio.TimerHandle | None = None
        self._is_private = is_private

    @property
    def waiting(self) -> int:
        """Samples that wait for the edge."""
        return self._edge.waiting if self._edge else 0

    @property
    def is_private(self) -> bool:
        """Whether speech stays on this machine, from now on; what was sent was sent."""
        return self._is_private

    @is_private.setter
    def is_private(self, value: bool) -> None:
        self._is_private = value
        # Before it runs nothing is open, and there may be no loop yet.
        if value and self._group is not None:
            self._core.withhold(self._now_s())
            self._apply()

    def open(self, utterance_id: int, start_sample: int) -> None:
        """Begin an utterance; the ones before may still be owed their finals."""
        self._current = utterance_id
        if self._cloud:
            self._audio[utterance_id] = UtteranceAudio()
        self._core.open(utterance_id, start_sample, is_private=self._is_private)
        if self._edge:
            self._edge.open(utterance_id, start_sample)

    def push(self, pcm: Int16Array, is_speech: bool, *, is_quiet: bool = False) -> None:
        """Append audio.

        Args:
            pcm: Shape (n,), int16, 16 kHz.
            is_speech: As for `Recogniser.push`; a short pause in speech belongs to it.
            is_quiet: Whether nothing is said in this very chunk. The edge has read it already if
                it has settled on what came before.
        """
        if (audio := self._audio.get(self._current)) is not None:
            audio.append(pcm)
            if audio.is_truncated and self._edge:
                # The cloud could no longer hear all of it; the edge has.
                self._core.withhold(self._now_s())
        if self._edge:
            self._edge.push(pcm, is_speech and not is_quiet)
        self._core.heard(len(pcm), is_speech, self._now_s())
        self._apply()
        for feed in self._feeds.values():
            feed.grow()

    def confirm(self) -> None:
        """Note that what is open is speech, not noise."""
        self._core.confirm(self._now_s())
        self._apply()

    def settle(self) -> None:
        """Have all audio so far recognised here, now."""
        if self._edge:
            self._edge.settle()

    def finish(self) -> None:
        """End the utterance: exactly one final of it follows."""
        if self._edge:
            self._edge.finish()
        self._core.finish(self._now_s())
        self._apply()

    def drop(self) -> None:
        """Forget the utterance, which has no final."""
        if self._edge:
            self._edge.drop()
        self._core.drop(self._now_s())
        self._apply()

    async def run(self) -> None:
        """Recognise until cancelled."""
        try:
            async with asyncio.TaskGroup() as group:
                self._group = group
                group.create_task(self._tell_all())
                if self._edge:
                    group.create_task(self._edge.run())
        finally:
            self._group = None
            if self._timer:
                self._timer.cancel()
            if self._client:
                await self._client.close()

    async def _tell_all(self) -> None:
        while True:
            await self._tell(await self._outcomes.get())

    def _on_edge(self, hypothesis: Hypothesis, is_settled: bool) -> None:
        self._core.edge_said(hypothesis, self._now_s(), is_complete=is_settled)
        self._apply()

    def _on_due(self) -> None:
        self._core.advance(self._now_s())
        self._apply()

    def _apply(self) -> None:
        """Carry out what the core ordered, and see when it wants to be asked again."""
        orders, outcomes = self._core.take()
        for order in orders:
            self._obey(order)
        for outcome in outcomes:
            self._outcomes.put_nowait(outcome)
        if self._cloud:
            self._cloud.follow()
            for utterance_id in [known for known in self._audio if not self._core.is_kept(known)]:
                del self._audio[utterance_id]
        if self._timer:
            self._timer.cancel()
            self._timer = None
        if (due_s := self._core.due_s) is not None:
            self._timer = asyncio.get_running_loop().call_at(due_s, self._on_due)

    def _obey(self, order: Order) -> None:
        if self._group is None:
            # The session is ending: nothing is begun any more.
            return
        match order:
            case Begin(attempt, utterance_id):
                feed = self._feeds[attempt] = Feed(self._audio[utterance_id])
                self._tasks[attempt] = self._group.create_task(self._attempt(attempt, feed))
            case Ask(attempt):
                self._feeds[attempt].close()
            case Cancel(attempt):
                del self._feeds[attempt]
                self._tasks.pop(attempt).cancel()

    async def _attempt(self, number: int, feed: Feed) -> None:
        assert self._client
        try:
            answer = await self._client.transcribe(feed)
        except CloudLostError as error:
            self._core.failed(number, str(error), self._now_s())
        except CloudRefusedError as error:
            self._core.failed(number, str(error), self._now_s(), is_refused=True)
        else:
            self._core.answered(number, answer, self._now_s())
        self._feeds.pop(number, None)
        self._tasks.pop(number, None)
        self._apply()

    def _now_s(self) -> float:
        return asyncio.get_running_loop().time()
