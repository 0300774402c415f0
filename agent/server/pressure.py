"""How many conversations this machine holds, found out while it holds them. Pure.

A figure from a benchmark is right for the models, the neighbours and the machine it was taken with.
Signs of a full house are there in any case. Packets that leave late are heard first, and too late
to help: who is in is in. So the next ones are let in by what those in cost: processor time of all
cores, and of the one thread that every packet passes.
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

_CORES_SHARE = 0.8
"""Of all cores, over the span: a burst of a model is none."""

_LOOP_SHARE = 0.7
"""Of one core, for the thread that runs the event loop: packets of many conversations fall due at
the same moment, and all but the first wait. Let in by lateness alone, benchmarks/full_house.py had
12 and 26 packets in a hundred late before it noticed; with this bound, one in two hundred."""

_LEAST_SPAN_S = 5.0

_LEAST = 2
"""Conversations that are always let in; and newcomers at once, before it shows what they cost."""

_MOST = 256


@dataclass(frozen=True, slots=True)
class Worked:
    """Processor time so far, in seconds.

    Attributes:
        all_s: Of this process and its models.
        loop_s: Of the thread that runs the event loop.
    """

    all_s: float
    loop_s: float


@dataclass(slots=True)
class _Second:
    at_s: float
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
        self._worked: deque[tuple[float, Worked]] = deque()
        self._begun: deque[float] = deque()

    def packet(self, late_s: float, now_s: float) -> None:
        """A packet of speech has left.

        Args:
            late_s: Behind its schedule.
            now_s: Monotonic.
        """
        self._forget(now_s)
        if not self._seconds or now_s - self._seconds[-1].at_s >= 1.0:
            self._seconds.append(_Second(now_s))
        self._seconds[-1].packets += 1
        self._seconds[-1].late += late_s > _LATE_S

    def wants_work(self, now_s: float) -> bool:
        """Whether it is time to tell again what was worked: once a second."""
        return not self._worked or now_s - self._worked[-1][0] >= 1.0

    def work(self, worked: Worked, now_s: float) -> None:
        """So much was worked until now."""
        self._worked.append((now_s, worked))
        self._forget(now_s)

    def begun(self, now_s: float) -> None:
        """A conversation begins."""
        self._forget(now_s)
        self._begun.append(now_s)

    def limit(self, held: int, now_s: float) -> int:
        """Most conversations at once, where there are `held` now."""
        self._forget(now_s)
        used = self._used()
        if used >= 1.0 or self._is_late():
            return max(_LEAST, held)
        settled = max(0, held - len(self._begun))
        grown = settled + max(_LEAST, settled // 2)
        # Newcomers are in what is used, and not in the number it is shared by: an error to the
        # safe side, for as long as they are new.
        room = int(settled / used) if used else grown
        return max(_LEAST, min(_MOST, grown, max(held, room)))

    def _is_late(self) -> bool:
        packets = sum(second.packets for second in self._seconds)
        late = sum(second.late for second in self._seconds)
        return packets >= _LEAST_PACKETS and late > _LATE_SHARE * packets

    def _used(self) -> float:
        """Share of what may be used, in [0, 1] and beyond; 0 while that is not known."""
        if not self._worked:
            return 0.0
        (from_s, before), (to_s, now) = self._worked[0], self._worked[-1]
        if (span_s := to_s - from_s) < _LEAST_SPAN_S:
            return 0.0
        return max(
            (now.all_s - before.all_s) / (span_s * self._cores * _CORES_SHARE),
            (now.loop_s - before.loop_s) / (span_s * _LOOP_SHARE),
        )

    def _forget(self, now_s: float) -> None:
        while self._seconds and now_s - self._seconds[0].at_s > _SPAN_S:
            self._seconds.popleft()
        while self._worked and now_s - self._worked[0][0] > _SPAN_S:
            self._worked.popleft()
        while self._begun and now_s - self._begun[0] > _SPAN_S / 2:
            self._begun.popleft()
