"""How long people pause inside a turn, and how one caller does. Pure."""

import math
from bisect import bisect_right

LAW = (
    (0.2, 1.0),
    (0.3, 0.83),
    (0.4, 0.67),
    (0.5, 0.53),
    (0.6, 0.41),
    (0.7, 0.32),
    (0.8, 0.24),
    (1.0, 0.150),
    (1.2, 0.094),
    (1.5, 0.049),
    (2.0, 0.020),
)
"""(seconds, share of pauses inside a turn that last longer), of pauses of 0.2 s and more. From the
word times of 204 Switchboard conversations (MS98 alignments, 20 481 pauses)."""

TAIL_HAZARD = 1.8
"""Pauses that end each second, past the table: what is left of them lasts long."""

HAZARD = 2.4
"""The same, typically: from 0.3 s on nearly constant."""

_TIMES = tuple(time for time, _ in LAW)
_SURPRISE = tuple(-math.log(share) for _, share in LAW)


def surprise(silence_s: float) -> float:
    """-log of the share of pauses that last longer than `silence_s`; 0 up to 0.2 s.

    An end of turn stays silent and a pause does not: this is what silence alone says for an end, in
    natural log-odds.
    """
    if silence_s <= _TIMES[0]:
        return 0.0
    if silence_s >= _TIMES[-1]:
        return _SURPRISE[-1] + TAIL_HAZARD * (silence_s - _TIMES[-1])
    after = bisect_right(_TIMES, silence_s)
    begin, end = _TIMES[after - 1], _TIMES[after]
    part = (silence_s - begin) / (end - begin)
    return _SURPRISE[after - 1] + part * (_SURPRISE[after] - _SURPRISE[after - 1])


def silence_for(wanted: float) -> float:
    """The silence whose `surprise` is `wanted`, in seconds; 0.2 at the least."""
    if wanted <= 0.0:
        return _TIMES[0]
    if wanted >= _SURPRISE[-1]:
        return _TIMES[-1] + (wanted - _SURPRISE[-1]) / TAIL_HAZARD
    after = bisect_right(_SURPRISE, wanted)
    low, high = _SURPRISE[after - 1], _SURPRISE[after]
    begin, end = _TIMES[after - 1], _TIMES[after]
    return begin + (wanted - low) / (high - low) * (end - begin)


class Pace:
    """How long this caller's pauses are, against everybody's. Pure.

    A moving average of the logarithm, slow to start: one pause says little.
    """

    MEDIAN_S = 0.523
    """Of the pauses behind `LAW`."""

    SLOWEST, FASTEST = 1.8, 0.6
    """Whatever was heard, nobody is believed to be further from the rest."""

    TRUST_AFTER = 4.0
    """Pauses that weigh as much as what is known of people in general."""

    def __init__(self) -> None:
        self._sum = 0.0
        self._count = 0

    def paused(self, pause_s: float) -> None:
        """The caller went on after `pause_s`."""
        if pause_s < _TIMES[0]:
            return
        self._sum += math.log(pause_s / self.MEDIAN_S)
        self._count += 1

    @property
    def scale(self) -> float:
        """By how much this caller's pauses are longer than everybody's."""
        mean = self._sum / (self._count + self.TRUST_AFTER)
        return min(max(math.exp(mean), self.FASTEST), self.SLOWEST)
