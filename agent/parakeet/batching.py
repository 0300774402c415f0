"""What goes to the device next. Pure.

Work-conserving: a free device takes what is there at once and waits for nothing; while it is busy,
what arrives gathers and leaves together. So batches grow with the load and a lone request is never
delayed to wait for company.
"""

import bisect
import math
from collections.abc import Iterable
from dataclasses import dataclass
from enum import IntEnum

from agent.audio.chunk import seconds
from agent.parakeet.engine import Facts

BUCKETS_S = (1.0, 2.0, 4.0, 8.0, 15.0, 30.0)
"""Upper edges of the length buckets; within one bucket at most half of a batch is padding."""

LEAST_FULL = 0.5
"""Share of a batch's padded seconds that must be audio: below it, two batches cost less."""


CHEAP_S = 1.0
"""Padding of one job that is always worth it: a batch of its own costs more."""


class Priority(IntEnum):
    """Who is served first."""

    LIVE = 0
    """Someone has stopped speaking and waits for the answer."""
    FILE = 1
    """A recording."""


@dataclass(slots=True, eq=False)
class Job:
    """One utterance that waits for a device.

    Attributes:
        number: Unlike any other job's.
        samples: Its length at 16 kHz.
        priority: Who is served first.
        arrived_s: When it came, on any clock.
        deadline_s: When it must be answered, on the same clock.
        attempts: How often a worker died with it. After that it runs alone, since it may be what
            kills them.
    """

    number: int
    samples: int
    priority: Priority
    arrived_s: float
    deadline_s: float
    attempts: int = 0

    @property
    def length_s(self) -> float:
        """Its length in seconds."""
        return seconds(self.samples)


@dataclass(frozen=True, slots=True)
class Budget:
    """What one call of a device may hold.

    Attributes:
        max_batch: Utterances.
        max_batch_s: Padded seconds: items times the longest.
        max_batch_s2: Items times the longest squared, in s²: the memory of full attention.
    """

    max_batch: int
    max_batch_s: float
    max_batch_s2: float

    @classmethod
    def of(cls, facts: Facts, scale: float = 1.0) -> "Budget":
        """Of a device, or of a `scale` of its memory."""
        return cls(
            max(1, math.floor(facts.max_batch * scale)),
            facts.max_batch_s * scale,
            facts.max_batch_s2 * scale,
        )

    def holds(self, count: int, longest_s: float) -> bool:
        """Whether so many utterances fit, padded to the longest."""
        return (
            count <= self.max_batch
            and count * longest_s <= self.max_batch_s
            and count * longest_s**2 <= self.max_batch_s2
        )


class Batcher:
    """The jobs that wait, and the choice of the next batch."""

    def __init__(self) -> None:
        self._waiting: dict[int, Job] = {}

    def __len__(self) -> int:
        return len(self._waiting)

    def waiting(self, up_to: Priority) -> int:
        """Jobs that would be served before a new one of priority `up_to`."""
        return sum(job.priority <= up_to for job in self._waiting.values())

    def waiting_s(self) -> float:
        """Seconds of audio that wait."""
        return sum(job.length_s for job in self._waiting.values())

    def add(self, job: Job) -> None:
        """Let a job wait."""
        self._waiting[job.number] = job

    def remove(self, number: int) -> bool:
        """Forget a job; False if it does not wait here."""
        return self._waiting.pop(number, None) is not None

    def take(self, budget: Budget) -> list[Job]:
        """Choose the next batch and take it out of the queue; empty if nothing waits.

        The most urgent job leads. Jobs of its length bucket join first, then others, as long as the
        budget holds and at most half of what is computed is padding.
        """
        if not self._waiting:
            return []
        head = min(self._waiting.values(), key=_urgency)
        batch = [head]
        if not head.attempts:
            self._fill(batch, budget)
        for job in batch:
            del self._waiting[job.number]
        return batch

    def _fill(self, batch: list[Job], budget: Budget) -> None:
        head = batch[0]
        bucket = bucket_of(head.length_s)

        def nearness(job: Job) -> tuple[int, int, float, int]:
            return (abs(bucket_of(job.length_s) - bucket), *_urgency(job))

        others = [job for job in self._waiting.values() if job is not head and not job.attempts]
        longest_s = total_s = head.length_s
        for job in sorted(others, key=nearness):
            if len(batch) == budget.max_batch:
                return
            longest = max(longest_s, job.length_s)
            total = total_s + job.length_s
            padded_s = (len(batch) + 1) * longest
            wasted_s = max(longest - job.length_s, longest - longest_s)
            is_near = wasted_s <= max(CHEAP_S, (1.0 - LEAST_FULL) * longest)
            is_full = total >= LEAST_FULL * padded_s
            if is_near and is_full and budget.holds(len(batch) + 1, longest):
                batch.append(job)
                longest_s, total_s = longest, total


def _urgency(job: Job) -> tuple[int, float, int]:
    return (job.priority, job.deadline_s, job.number)


def bucket_of(length_s: float) -> int:
    """Number of the length bucket."""
    return bisect.bisect_left(BUCKETS_S, length_s)


def padded_s(jobs: Iterable[Job]) -> float:
    """Seconds a device computes for these jobs together."""
    lengths = [job.length_s for job in jobs]
    return len(lengths) * max(lengths, default=0.0)
