"""From requests to devices and back: every request is answered by its deadline, once."""

import asyncio
import itertools
from collections import deque
from dataclasses import dataclass, field

from loguru import logger

from agent.audio.chunk import Int16Array
from agent.parakeet import wire
from agent.parakeet.admission import Admission, MemoryTrial
from agent.parakeet.batching import Batcher, Budget, Job, Priority, padded_s
from agent.parakeet.device import Device
from agent.parakeet.engine import Failure, Options, Transcript
from agent.parakeet.errors import (
    DeadlineError,
    InternalError,
    OverloadedError,
    RequestError,
    from_failure,
)
from agent.parakeet.metrics import Metrics

MOST_ATTEMPTS = 3
"""Workers that may die with a request before it is given up. From the second on it runs alone."""

_AHEAD = 2
"""Batches a device has at once: the one it computes, and the next."""


@dataclass(frozen=True, slots=True)
class QueueSettings:
    """How much may wait.

    Attributes:
        max_jobs: Requests at once; bounds memory.
        live_wait_s: Longest wait for a device that a live utterance is admitted to.
        file_wait_s: The same for a recording.
    """

    max_jobs: int = 2000
    live_wait_s: float = 1.0
    file_wait_s: float = 60.0


@dataclass(slots=True, eq=False)
class Request(Job):
    """A job with its audio and who waits for it."""

    pcm: Int16Array = field(kw_only=True)
    options: Options = field(kw_only=True)
    answer: asyncio.Future[Transcript] = field(kw_only=True)


@dataclass(slots=True, eq=False)
class _Running:
    jobs: list[Request]
    number: int


class Dispatcher:
    """The queue and the devices that empty it."""

    def __init__(self, settings: QueueSettings, metrics: Metrics) -> None:
        self._settings = settings
        self._metrics = metrics
        self._batcher = Batcher()
        self._admission = Admission(settings.max_jobs)
        self._trials: dict[int, MemoryTrial] = {}
        self._devices: dict[int, Device] = {}
        self._expected_s: dict[int, float] = {}
        """When a replaced worker should be ready."""
        self._running: dict[int, deque[_Running]] = {}
        """What each device has, in order; see `_wanted`."""
        self._requests: dict[int, Request] = {}
        self._numbers = itertools.count(1)
        self._is_pumping = False
        self.idle = asyncio.Event()
        self.idle.set()

    @property
    def depth(self) -> int:
        """Requests that wait for a device."""
        return len(self._batcher)

    async def transcribe(
        self,
        pcm: Int16Array,
        options: Options,
        priority: Priority,
        deadline_s: float,
    ) -> Transcript:
        """Recognise one utterance.

        Args:
            pcm: Shape (n,), int16, 16 kHz; not changed by anyone until this returns.
            options: What is wanted.
            priority: Who is served first.
            deadline_s: On the loop's clock; whatever happens, this returns or raises by then.

        Raises:
            OverloadedError: It would wait too long.
            DeadlineError: Not in time.
            RequestError: The engine could not; the class says what to do.
        """
        loop = asyncio.get_running_loop()
        self._admit(priority, loop.time())
        request = Request(
            next(self._numbers),
            len(pcm),
            priority,
            loop.time(),
            deadline_s,
            pcm=pcm,
            options=options,
            answer=loop.create_future(),
        )
        self._requests[request.number] = request
        self._batcher.add(request)
        self.idle.clear()
        # What arrives in one turn of the loop leaves together.
        self._pump_soon()
        # With one device there is no question where it goes: its audio travels while others are
        # computed, and no batch waits for megabytes to pass the pipe.
        ahead = next(iter(self._devices.values())) if len(self._devices) == 1 else None
        if ahead is not None:
            ahead.prepare(request.number, pcm)
        try:
            async with asyncio.timeout_at(deadline_s):
                return await request.answer
        except TimeoutError:
            raise DeadlineError("no transcript in time; the server is busy") from None
        finally:
            if self._batcher.remove(request.number) and ahead is not None:
                ahead.forget(request.number)
            del self._requests[request.number]
            if not self._requests:
                self.idle.set()

    def ready(self, device: Device) -> None:
        """A worker can take batches."""
        if device.facts is not None and device.facts.max_batch:
            self._devices[device.number] = device
            self._expected_s.pop(device.number, None)
            self._trials.setdefault(device.number, MemoryTrial())
            self._pump_soon()

    def answered(self, device: Device, header: wire.Header) -> None:
        """Hand out a batch's results."""
        if header["is"] != "batch":
            return
        running = self._running[device.number].popleft()
        if running.number != header["id"] or len(header["results"]) != len(running.jobs):
            raise wire.WireError(f"batch {running.number} was answered as {header['id']}")
        now_s = asyncio.get_running_loop().time()
        self._admission.finished(device.number, header["seconds"], now_s)
        if header["out_of_memory"]:
            self._metrics.out_of_memory.inc(header["out_of_memory"])
            self._trials[device.number].failed(now_s)
        # The device works on while the answers go out.
        self._pump()
        self._metrics.batch(
            size=len(running.jobs),
            padded_s=padded_s(running.jobs),
            seconds=header["seconds"],
            stages_s=header["stages_s"],
        )
        for request, result in zip(running.jobs, header["results"], strict=True):
            _settle(request, wire.result_from(result))

    def ended(self, device: Device, reason: str) -> None:
        """Let what a dead worker held wait for another one."""
        self._metrics.restarts.labels(reason).inc()
        if self._devices.pop(device.number, None) is not None:
            now_s = asyncio.get_running_loop().time()
            self._expected_s[device.number] = now_s + device.load_s
        self._admission.lost(device.number)
        for place, running in enumerate(self._running.pop(device.number, ())):
            for request in running.jobs:
                # What was only sent ahead has killed nobody.
                request.attempts += place == 0
                if request.number not in self._requests:
                    continue
                if request.attempts < MOST_ATTEMPTS:
                    self._batcher.add(request)
                elif not request.answer.done():
                    request.answer.set_exception(
                        InternalError(f"{MOST_ATTEMPTS} workers died with it")
                    )
        self._pump_soon()

    def _admit(self, priority: Priority, now_s: float) -> None:
        bounds_s = {
            Priority.LIVE: self._settings.live_wait_s,
            Priority.FILE: self._settings.file_wait_s,
        }
        if not self._devices:
            self._admit_to_none(bounds_s[priority], now_s)
        sizes = [device.facts.max_batch for device in self._devices.values() if device.facts]
        rejection = self._admission.judge(
            ahead=self._batcher.waiting(priority),
            waiting=len(self._batcher),
            devices=len(sizes),
            max_batch=min(sizes, default=1),
            bound_s=bounds_s[priority],
            now_s=now_s,
        )
        if rejection is not None:
            self._metrics.rejected.labels("queue").inc()
            raise OverloadedError(
                "the queue is full; try again later, or on another server",
                rejection.retry_after_s,
            )

    def _admit_to_none(self, bound_s: float, now_s: float) -> None:
        """While every worker is replaced, wait for one only if it comes soon."""
        wait_s = min(self._expected_s.values(), default=now_s) - now_s
        if wait_s > bound_s:
            self._metrics.rejected.labels("loading").inc()
            raise OverloadedError("the model is loading again", wait_s)

    def _pump_soon(self) -> None:
        if not self._is_pumping:
            self._is_pumping = True
            asyncio.get_running_loop().call_soon(self._pump)

    def _pump(self) -> None:
        """Give every free device its next batch, and every busy one a full batch ahead."""
        self._is_pumping = False
        now_s = asyncio.get_running_loop().time()
        for device in self._devices.values():
            while (budget := self._wanted(device, now_s)) is not None:
                jobs = [self._requests[job.number] for job in self._batcher.take(budget)]
                if not jobs:
                    return
                self._start(device, jobs, now_s)

    def _wanted(self, device: Device, now_s: float) -> Budget | None:
        """How much a device may be given now; None while it has enough.

        Nothing is gained by holding back a batch that cannot grow: sent ahead of the present one's
        end, it starts without a turn of this loop in between. Recordings are not sent ahead, for a
        live utterance might come.
        """
        if device.facts is None:
            return None
        budget = Budget.of(device.facts, self._trials[device.number].scale(now_s))
        has = len(self._running.get(device.number, ()))
        if not has:
            return budget
        is_full = has < _AHEAD and self._batcher.waiting(Priority.LIVE) >= budget.max_batch
        return budget if is_full else None

    def _start(self, device: Device, jobs: list[Request], now_s: float) -> None:
        for job in jobs:
            self._metrics.queue_s.labels(job.priority.name.lower()).observe(now_s - job.arrived_s)
        number = next(self._numbers)
        self._running.setdefault(device.number, deque()).append(_Running(jobs, number))
        self._admission.started(device.number, now_s)
        logger.debug("batch {} of {} to device {}", number, len(jobs), device.number)
        device.transcribe(number, jobs)


def _settle(request: Request, result: Transcript | Failure) -> None:
    # Past its deadline, nobody waits any more.
    if request.answer.done():
        return
    if isinstance(result, Failure):
        error: RequestError = from_failure(result)
        request.answer.set_exception(error)
    else:
        request.answer.set_result(result)
