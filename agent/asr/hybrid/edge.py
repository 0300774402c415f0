"""The edge recogniser on its worker thread."""

import asyncio
from collections import deque
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass, field
from enum import Enum, auto
from itertools import groupby
from operator import itemgetter

import numpy as np
from loguru import logger

from agent.asr.hypothesis import Hypothesis, Recogniser
from agent.audio.chunk import Int16Array

_LATE_S = 2.0
"""A step that takes longer is told of: somebody may be waiting in silence."""

_LOST_S = 6.0
"""A step that takes longer hangs, and its thread with it."""

Said = Callable[[Hypothesis, bool], None]
"""Takes a hypothesis, and whether it was made of all audio there was."""


class Trouble(Enum):
    """What an utterance may suffer."""

    LATE = auto()
    BROKEN = auto()
    """A step failed; a later one may do better."""
    FAILED = auto()
    """It ended, and what was said in it is not known."""


_Result = tuple[Hypothesis | None, bool]


@dataclass
class _Job:
    """One utterance's work that was not done yet."""

    utterance_id: int
    start_sample: int
    is_begun: bool = False
    stretches: list[tuple[Int16Array, bool]] = field(default_factory=list)
    settle: bool = False
    finish: bool = False
    is_dropped: bool = False
    is_broken: bool = False

    @property
    def is_due(self) -> bool:
        return bool(self.stretches) or self.settle or self.finish or self.is_dropped


class EdgeWorker:
    """Feeds one `Recogniser`, one utterance after the other.

    When the thread falls behind, audio waits here (32 KB a second) and is recognised in one step. A
    step that hangs is given up after 6 s, so no more than that and one step's length ever waits.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        executor: Executor,
        said: Said,
        trouble: Callable[[Trouble], None] = lambda trouble: None,
    ) -> None:
        self._trouble = trouble
        self._recogniser = recogniser
        self._executor = executor
        self._said = said
        self._jobs: deque[_Job] = deque()
        self._wake = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Samples that were pushed and not given to the recogniser."""
        return sum(len(pcm) for job in self._jobs for pcm, _ in job.stretches)

    def open(self, utterance_id: int, start_sample: int) -> None:
        """Queue an utterance; what follows is about it."""
        self._jobs.append(_Job(utterance_id, start_sample))

    def push(self, pcm: Int16Array, is_speech: bool) -> None:
        """Queue audio."""
        self._jobs[-1].stretches.append((pcm, is_speech))
        self._wake.set()

    def settle(self) -> None:
        """Have everything so far recognised now."""
        self._jobs[-1].settle = True
        self._wake.set()

    def finish(self) -> None:
        """Have the utterance closed with its final."""
        self._jobs[-1].finish = True
        self._wake.set()

    def drop(self) -> None:
        """Leave the utterance unfinished."""
        self._jobs[-1].is_dropped = True
        self._wake.set()

    async def run(self) -> None:
        """Work until cancelled."""
        loop = asyncio.get_running_loop()
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._jobs and self._jobs[0].is_due:
                job = self._jobs[0]
                if job.is_dropped:
                    self._jobs.popleft()
                    continue
                step, is_last = self._step(job), job.finish
                try:
                    hypothesis, is_settled = await self._done(
                        loop.run_in_executor(self._executor, step), job
                    )
                except Exception as error:  # noqa: BLE001 - one utterance must not cost the call
                    if not job.is_broken:
                        logger.error("the recogniser failed: {}", type(error).__name__)
                        job.is_broken = True
                        self._trouble(Trouble.BROKEN)
                    hypothesis, is_settled = None, True
                if is_last:
                    self._jobs.popleft()
                    if job.is_broken and not (hypothesis and hypothesis.text):
                        self._trouble(Trouble.FAILED)
                    if hypothesis is None or not hypothesis.is_final:
                        hypothesis = _nothing(job)
                if hypothesis is not None:
                    self._said(hypothesis, is_settled)

    async def _done(self, step: "asyncio.Future[_Result]", job: _Job) -> _Result:
        done, _ = await asyncio.wait({step}, timeout=_LATE_S)
        if not done:
            # Whoever still speaks waits for nothing.
            if job.settle or job.finish or not job.stretches:
                self._trouble(Trouble.LATE)
            done, _ = await asyncio.wait({step}, timeout=_LOST_S - _LATE_S)
        if not done:
            # Its thread may never come back: another one goes on.
            self._executor = ThreadPoolExecutor(1, "asr-again")
            raise TimeoutError
        return step.result()

    def _step(self, job: _Job) -> Callable[[], tuple[Hypothesis | None, bool]]:
        """Take all that is to be done for a job, as one call for the thread."""
        stretches = [
            (np.concatenate([pcm for pcm, _ in group]), is_speech)
            for is_speech, group in groupby(job.stretches, key=itemgetter(1))
        ]
        begin, settle, finish = not job.is_begun, job.settle, job.finish
        job.is_begun, job.stretches, job.settle = True, [], False

        def work() -> tuple[Hypothesis | None, bool]:
            recogniser, hypothesis = self._recogniser, None
            if begin:
                recogniser.start(job.utterance_id, job.start_sample)
            for pcm, is_speech in stretches:
                hypothesis = recogniser.push(pcm, is_speech) or hypothesis
            if finish:
                return recogniser.finish(), True
            return (recogniser.settle(), True) if settle else (hypothesis, False)

        return work


def _nothing(job: _Job) -> Hypothesis:
    """The final of an utterance whose recogniser owes it."""
    return Hypothesis(
        utterance_id=job.utterance_id,
        text="",
        words=(),
        is_final=True,
        start_sample=job.start_sample,
        end_sample=job.start_sample,
    )
