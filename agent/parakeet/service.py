"""The service behind every protocol: guards, live utterances, recordings, readiness."""

import asyncio
import contextlib
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

import numpy as np

from agent.audio.chunk import Int16Array, samples, seconds
from agent.parakeet.batching import Priority
from agent.parakeet.checkpoints import Checkpoints
from agent.parakeet.device import Device, WorkerSettings
from agent.parakeet.dispatch import Dispatcher, QueueSettings
from agent.parakeet.engine import Facts, Options, Transcript
from agent.parakeet.errors import DeadlineError, OverloadedError, TooLongError
from agent.parakeet.metrics import Metrics
from agent.parakeet.repetition import without_loops
from agent.parakeet.segments import LONGEST_S, Segment, cut, stitch
from agent.parakeet.speech import SpeechFinder, loudness
from agent.parakeet.streams import StreamHub
from agent.vad.silero import HOP

T = TypeVar("T")

_SPEECH_S = 0.3
"""An empty result with this much speech is tried again."""

_SPEECH = 0.5

_NOISE = 33.0
"""Standard deviation, in int16 steps, of what a second try adds: 1e-3 of full scale."""

_SEGMENTS_AHEAD = 64
"""Segments of one recording that wait at once: enough to fill batches, and no more memory."""


@dataclass(frozen=True, slots=True)
class ServiceSettings:
    """The service, apart from its address.

    Attributes:
        workers: One for each device.
        queue: How much may wait.
        deadline_s: A live utterance is answered by then, counted from its end.
        file_deadline_s: The same for a recording.
        longest_file_s: Recordings beyond this are refused.
        checkpoints: Where progress of long recordings is kept; None keeps none.
        vad: Weights of the voice activity detector; None: there is none, and no guards.
        has_guards: Whether silence and silent tails are kept from the recogniser.
    """

    workers: tuple[WorkerSettings, ...]
    queue: QueueSettings = field(default_factory=QueueSettings)
    deadline_s: float = 10.0
    file_deadline_s: float = 1800.0
    longest_file_s: float = 4 * 3600.0
    checkpoints: Path | None = None
    vad: Path | None = None
    has_guards: bool = True


class Service:
    """Everything the protocols share. Lives on one event loop."""

    def __init__(self, settings: ServiceSettings) -> None:
        self.settings = settings
        self.metrics = Metrics()
        self.draining = asyncio.Event()
        self.drained = asyncio.Event()
        self.grace_s = 0.0
        self.on_drain: list[Callable[[], None]] = []
        self._live = 0
        self._occupied = 0
        self._idle = asyncio.Event()
        self._idle.set()
        self._dispatcher = Dispatcher(settings.queue, self.metrics)
        self.hub = StreamHub()
        self._devices = [
            Device(number, worker, (self._dispatcher, self.hub))
            for number, worker in enumerate(settings.workers)
        ]
        self._detector: SpeechFinder | None = None
        self._is_equipped = settings.vad is None
        self._checkpoints = Checkpoints(settings.checkpoints) if settings.checkpoints else None
        # The detector is small and releases the interpreter: a second thread keeps one long
        # recording from delaying live utterances.
        self._threads = ThreadPoolExecutor(max_workers=2, thread_name_prefix="speech")
        self.metrics.gauges(
            ready=lambda: float(self.is_ready),
            queue_depth=lambda: float(self._dispatcher.depth),
            streams=lambda: float(self._live),
            slots_free=lambda: float(self.hub.slots - self.hub.active),
            workers=lambda: float(sum(device.facts is not None for device in self._devices)),
        )

    @property
    def facts(self) -> list[Facts]:
        """Of every device, as its worker announced; one being replaced counts."""
        return [device.announced for device in self._devices if device.announced is not None]

    @property
    def is_ready(self) -> bool:
        """Whether new work is done at once, as load balancers ask."""
        has_worker = any(device.facts is not None for device in self._devices)
        return has_worker and self._is_equipped and not self.is_draining

    @property
    def accepts(self) -> bool:
        """Whether a request may wait: also while a worker is replaced, if that is soon over."""
        return bool(self.facts) and self._is_equipped and not self.is_draining

    @property
    def is_guarded(self) -> bool:
        """Whether silence is kept from the recogniser."""
        return self.settings.has_guards and self.settings.vad is not None

    @property
    def is_draining(self) -> bool:
        """Whether the service goes away."""
        return self.draining.is_set()

    @property
    def has_streams(self) -> bool:
        """Whether live utterances can have partials."""
        return any(facts.slots for facts in self.facts)

    @property
    def has_batches(self) -> bool:
        """Whether some worker recognises whole utterances."""
        return any(facts.max_batch for facts in self.facts)

    @property
    def worker_pids(self) -> list[int]:
        """Of every worker that is ready, for the status page and for tests that kill one."""
        return [device.pid for device in self._devices if device.pid is not None]

    @property
    def longest_s(self) -> float:
        """Longest utterance that every worker takes."""
        return min((facts.max_utterance_s for facts in self.facts), default=60.0)

    @property
    def model(self) -> str:
        """What answers, for clients that ask."""
        return self.facts[0].model if self.facts else "loading"

    @contextlib.asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Keep the workers alive for the length of the block.

        Raises:
            ExceptionGroup: With a SettingsError, if no worker can ever start.
        """
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(device.run()) for device in self._devices]
            tasks.append(group.create_task(self._equip()))
            try:
                yield
            finally:
                for task in tasks:
                    task.cancel()
                self._threads.shutdown(wait=False)

    def start_draining(self, grace_s: float) -> None:
        """Accept nothing new from now on, and tell every stream."""
        self.grace_s = grace_s
        self.draining.set()
        for tell in self.on_drain:
            tell()

    async def drain(self, grace_s: float) -> None:
        """Accept nothing new and wait until everything is answered, `grace_s` at most."""
        self.start_draining(grace_s)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await self._idle.wait()
        self.drained.set()

    @contextlib.contextmanager
    def occupied(self, *, is_live: bool = False) -> Iterator[None]:
        """Count what must finish before a drain is over."""
        self._occupied += 1
        self._live += is_live
        self._idle.clear()
        try:
            yield
        finally:
            self._occupied -= 1
            self._live -= is_live
            if not self._occupied:
                self._idle.set()

    async def recognise(
        self, pcm: Int16Array, options: Options, priority: Priority, deadline_s: float
    ) -> Transcript:
        """Recognise one utterance, with the guards around it.

        Args:
            pcm: Shape (n,), int16, 16 kHz; at most `longest_s`.
            options: What is wanted.
            priority: Who is served first.
            deadline_s: On the loop's clock.

        Raises:
            RequestError: Its class says why there is no transcript.
        """
        if seconds(len(pcm)) > self.longest_s:
            raise TooLongError(f"an utterance has at most {self.longest_s:.0f} s")
        if not len(pcm):
            return Transcript("")
        finder, end = self._finder(), len(pcm)
        if finder is not None:
            # Mostly it is plain at a glance, which costs hardly more than a thread's taking over.
            examined = finder.glance(pcm)
            if examined is None:
                examined = await self._in_thread(lambda: finder.examine(pcm), deadline_s)
            if not examined.has_speech:
                self.metrics.silent.inc()
                return Transcript("")
            end = examined.end_sample
            self.metrics.trimmed_s.inc(seconds(len(pcm) - end))
        heard = await self._dispatcher.transcribe(pcm[:end], options, priority, deadline_s)
        if not heard.text and finder is not None:
            heard = await self._again(finder, pcm[:end], options, priority, deadline_s)
        heard, cut_words = without_loops(heard)
        if cut_words:
            self.metrics.repeated_words.inc(cut_words)
        return heard

    async def recording(
        self,
        pcm: Int16Array,
        options: Options,
        deadline_s: float,
        on_segment: Callable[[Segment, Transcript], None] | None = None,
    ) -> Transcript:
        """Recognise a recording of any length, segment by segment.

        Args:
            pcm: Shape (n,), int16, 16 kHz.
            options: What is wanted.
            deadline_s: On the loop's clock.
            on_segment: Called with each segment in order, as soon as it and all before it are done.

        Raises:
            RequestError: Its class says why there is no transcript.
        """
        if seconds(len(pcm)) > self.settings.longest_file_s:
            raise TooLongError(f"a recording has at most {self.settings.longest_file_s:.0f} s")
        whole = Segment(0, len(pcm))
        if seconds(len(pcm)) <= min(LONGEST_S, self.longest_s):
            heard = await self.recognise(pcm, options, Priority.FILE, deadline_s)
            if on_segment is not None:
                on_segment(whole, heard)
            return heard
        return await self._segments(pcm, options, deadline_s, on_segment)

    def stream_posterior(self) -> Callable[[Int16Array], float] | None:
        """A speech posterior for audio as it arrives; None without a detector."""
        return self._detector.stream() if self._detector else None

    async def _equip(self) -> None:
        """Bring the speech detector, a quarter of a second in which this already answers."""
        if self.settings.vad is not None:
            self._detector = await asyncio.to_thread(SpeechFinder, self.settings.vad)
        self._is_equipped = True

    def _finder(self) -> SpeechFinder | None:
        if not self._is_equipped:
            raise OverloadedError("the speech detector is loading", 1.0)
        return self._detector if self.settings.has_guards else None

    async def _again(
        self,
        finder: SpeechFinder,
        pcm: Int16Array,
        options: Options,
        priority: Priority,
        deadline_s: float,
    ) -> Transcript:
        """Try an empty result once more, if someone spoke: no tail, and some faint noise."""
        posterior = await self._in_thread(lambda: finder.posterior(pcm), deadline_s)
        spoken = [hop for hop, value in enumerate(posterior, 1) if value >= _SPEECH]
        if len(spoken) * HOP < samples(_SPEECH_S):
            return Transcript("")
        end = min(len(pcm), spoken[-1] * HOP)
        # The same noise for the same audio, so that an answer can be reproduced.
        noise = np.random.default_rng(zlib.crc32(pcm.tobytes())).normal(0.0, _NOISE, end)
        louder = np.clip(np.rint(pcm[:end] + noise), -32768, 32767).astype(np.int16)
        heard = await self._dispatcher.transcribe(louder, options, priority, deadline_s)
        self.metrics.empty_retries.labels("text" if heard.text else "empty").inc()
        return heard

    async def _segments(
        self,
        pcm: Int16Array,
        options: Options,
        deadline_s: float,
        on_segment: Callable[[Segment, Transcript], None] | None,
    ) -> Transcript:
        finder, store = self._finder(), self._checkpoints
        longest_s = min(LONGEST_S, self.longest_s)
        # Without a detector every hop may hold speech, and the cut falls where it is quietest.
        find: Callable[[Int16Array], Sequence[float]] = finder.posterior if finder else loudness
        posterior = await self._in_thread(lambda: find(pcm), deadline_s)
        segments = cut(posterior, len(pcm), longest_s)
        done: dict[Segment, Transcript] = {}
        path = None
        if store is not None:
            path = await asyncio.to_thread(store.path, pcm, options, self.model)
            known = await asyncio.to_thread(store.done, path)
            done = {segment: known[segment] for segment in segments if segment in known}
            self.metrics.segments.labels("checkpoint").inc(len(done))
        room = asyncio.Semaphore(_SEGMENTS_AHEAD)

        async def one(segment: Segment) -> Transcript:
            if segment in done:
                return done[segment]
            async with room:
                part = pcm[segment.start_sample : segment.end_sample]
                heard = await self._patiently(part, options, deadline_s)
            self.metrics.segments.labels("recognised").inc()
            if store is not None and path is not None:
                await asyncio.to_thread(store.add, path, segment, heard)
            return heard

        parts: list[tuple[Segment, Transcript]] = []
        tasks = [asyncio.create_task(one(segment)) for segment in segments]
        try:
            for segment, task in zip(segments, tasks, strict=True):
                heard = await task
                parts.append((segment, heard))
                if on_segment is not None:
                    on_segment(segment, heard)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
        return stitch(parts)

    async def _patiently(self, pcm: Int16Array, options: Options, deadline_s: float) -> Transcript:
        """Recognise a segment; a recording that was let in waits out a full queue."""
        while True:
            try:
                return await self.recognise(pcm, options, Priority.FILE, deadline_s)
            except OverloadedError as error:
                pause_s = min(error.retry_after_s or 1.0, 5.0)
                if asyncio.get_running_loop().time() + pause_s >= deadline_s:
                    raise
                await asyncio.sleep(pause_s)

    async def _in_thread(self, function: Callable[[], T], deadline_s: float) -> T:
        loop = asyncio.get_running_loop()
        try:
            async with asyncio.timeout_at(deadline_s):
                return await loop.run_in_executor(self._threads, function)
        except TimeoutError:
            raise DeadlineError("no transcript in time; the server is busy") from None
