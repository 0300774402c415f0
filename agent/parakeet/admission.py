"""Who may still come in: the wait that a new request would have, and memory on trial. Pure."""

import math
from dataclasses import dataclass

_RECENT = 0.2
"""Weight of the last batch in the running mean of batch times."""


@dataclass(frozen=True, slots=True)
class Rejection:
    """A request that would wait too long.

    Attributes:
        retry_after_s: When there should be room.
        expected_wait_s: How long it would have waited.
    """

    retry_after_s: float
    expected_wait_s: float


class Admission:
    """Bounds the queue by the time it takes, not by its length.

    A request is let in while the batches before it would start within its bound. What comes in is
    thus answered in time, and what does not hears so at once, with the time to come back.
    """

    def __init__(self, max_jobs: int) -> None:
        """Start empty.

        Args:
            max_jobs: Requests that may wait at once, however fast the device is: bounds memory.
        """
        self._max_jobs = max_jobs
        self._batch_s = 0.0
        self._busy_until_s: dict[int, float] = {}
        self._batches: dict[int, int] = {}

    @property
    def batch_s(self) -> float:
        """Running mean of a batch's time; 0 before the first."""
        return self._batch_s

    def started(self, device: int, now_s: float) -> None:
        """A device was given a batch, behind those it has."""
        self._batches[device] = self._batches.get(device, 0) + 1
        begins_s = max(now_s, self._busy_until_s.get(device, now_s))
        self._busy_until_s[device] = begins_s + self._batch_s

    def finished(self, device: int, took_s: float, now_s: float) -> None:
        """A device finished the first of its batches."""
        weight = _RECENT if self._batch_s else 1.0
        self._batch_s += weight * (took_s - self._batch_s)
        self._batches[device] -= 1
        if left := self._batches[device]:
            self._busy_until_s[device] = now_s + left * self._batch_s
        else:
            self.lost(device)

    def lost(self, device: int) -> None:
        """A device is gone, and what it was doing."""
        self._busy_until_s.pop(device, None)
        self._batches.pop(device, None)

    def expected_wait_s(self, ahead: int, devices: int, max_batch: int, now_s: float) -> float:
        """Until a new request's batch starts.

        Args:
            ahead: Requests that would be served first.
            devices: How many can work.
            max_batch: Most requests in one batch.
            now_s: The time, on the clock of `started`.
        """
        rounds = ahead // max(1, devices * max_batch)
        if devices > len(self._busy_until_s):
            return rounds * self._batch_s
        left_s = max(0.0, min(self._busy_until_s.values(), default=now_s) - now_s)
        return left_s + rounds * self._batch_s

    def judge(
        self,
        *,
        ahead: int,
        waiting: int,
        devices: int,
        max_batch: int,
        bound_s: float,
        now_s: float,
    ) -> Rejection | None:
        """Let a request in, or tell it when to come back.

        Args:
            ahead: Requests that would be served first.
            waiting: All requests that wait.
            devices: How many can work; with none, requests wait for one up to `max_jobs`.
            max_batch: Most requests in one batch.
            bound_s: Longest wait that is worth it.
            now_s: The time.
        """
        wait_s = self.expected_wait_s(ahead, devices, max_batch, now_s)
        if waiting < self._max_jobs and (not devices or wait_s <= bound_s):
            return None
        return Rejection(max(self._batch_s, wait_s - bound_s), wait_s)


class MemoryTrial:
    """A share of the announced memory that has proved to fit.

    Other programs share the device, so what fitted yesterday may not fit now: an out of memory
    takes a third off, and each quiet minute gives some back.
    """

    _LEAST, _CUT, _REGAIN, _QUIET_S = 0.05, 0.7, 1.25, 60.0

    def __init__(self) -> None:
        self._scale = 1.0
        self._changed_s = -math.inf

    def failed(self, now_s: float) -> None:
        """A batch did not fit."""
        self._scale = max(self._LEAST, self._scale * self._CUT)
        self._changed_s = now_s

    def scale(self, now_s: float) -> float:
        """The share to plan with now, in (0, 1]."""
        while self._scale < 1.0 and now_s - self._changed_s >= self._QUIET_S:
            self._scale = min(1.0, self._scale * self._REGAIN)
            self._changed_s += self._QUIET_S
        return self._scale
