"""How many conversations this machine holds, found out while it holds them. Pure.

A figure from a benchmark is right for the models, the neighbours and the machine it was taken with.
Two signs are there in any case: packets that leave late, which listeners hear first, and processor
time that is all used up, of which answers get slow before.
"""

from collections import deque
from dataclasses import dataclass

_SPAN_S = 10.0
"""What is longer ago says nothing of now."""

_LATE_S = 0.02
_LATE_SHARE = 0.01
"""The target of benchmarks/capacity.py: 99 packets in a hundred at most 20 ms late."""

_LEAST_PACKETS = 100
"""Of speech, two seconds: fewer would make one hiccup a full house."""

_BUSY_SHARE = 0.8
"""Of all cores, over the span: a burst of a model is none."""

_LEAST_SPAN_S = 5.0

_LEAST = 2
"""Conversations that are always let in; and newcomers at once, before it shows what they cost."""

_MOST = 256


@dataclass(slots=True)
class _Second:
    at_s: float
    worked_s: float
    packets: int = 0
    late: int = 0


class Pressure:
    """Says how many conversations there may be. Pure: times are arguments.

    Args:
        cores: That this process may use.
    """

    def __init__(self, cores: int) -> None:
        self._cores = cores
        self._seconds: deque[_Second] = deque()
        self._begun: deque[float] = deque()

    def packet(self, late_s: float, now_s: float, worked_s: float) -> None:
        """A packet of speech has left.

        Args:
            late_s: Behind its schedule.
            now_s: Monotonic.
            worked_s: Processor time of this process so far.
        """
        self._forget(now_s)
        if not self._seconds or now_s - self._seconds[-1].at_s >= 1.0:
            self._seconds.append(_Second(now_s, worked_s))
        self._seconds[-1].packets += 1
        self._seconds[-1].late += late_s > _LATE_S

    def begun(self, now_s: float) -> None:
        """A conversation begins."""
        self._forget(now_s)
        self._begun.append(now_s)

    def limit(self, held: int, now_s: float, worked_s: float) -> int:
        """Most conversations at once, where there are `held` now."""
        self._forget(now_s)
        if self._is_high(now_s, worked_s):
            return max(_LEAST, held)
        settled = max(0, held - len(self._begun))
        return min(_MOST, settled + max(_LEAST, settled // 2))

    def _is_high(self, now_s: float, worked_s: float) -> bool:
        packets = sum(second.packets for second in self._seconds)
        late = sum(second.late for second in self._seconds)
        if packets >= _LEAST_PACKETS and late > _LATE_SHARE * packets:
            return True
        if not self._seconds or (span_s := now_s - self._seconds[0].at_s) < _LEAST_SPAN_S:
            return False
        share = (worked_s - self._seconds[0].worked_s) / (span_s * self._cores)
        return share > _BUSY_SHARE

    def _forget(self, now_s: float) -> None:
        while self._seconds and now_s - self._seconds[0].at_s > _SPAN_S:
            self._seconds.popleft()
        while self._begun and now_s - self._begun[0] > _SPAN_S / 2:
            self._begun.popleft()
