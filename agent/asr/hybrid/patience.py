"""How long a final may wait for the cloud. Pure."""

import math
from collections import deque

LONGEST_S = 0.4
"""The longest wait, whatever the cloud is used to take: past this a caller hears the pause."""

_REMEMBERED = 40
_PERCENTILE = 0.95


class Patience:
    """The cloud's usual latency, and no patience with a cloud that did not keep to it.

    After an answer that failed to come in time, finals wait 0 s until one comes in time again: a
    dead network costs one wait, not one a turn. Answers still come and correct.
    """

    def __init__(self, longest_s: float = LONGEST_S) -> None:
        self.longest_s = longest_s
        self._latencies: deque[float] = deque(maxlen=_REMEMBERED)
        self._is_late = False

    @property
    def wait_s(self) -> float:
        """From the question to the moment at which the other side's text is taken.

        The 95th percentile of late, at most `longest_s`; 0 after a late answer, and for a cloud
        whose median is past `longest_s`, for which waiting would mostly be in vain.
        """
        if self._is_late:
            return 0.0
        if not self._latencies:
            return self.longest_s
        ordered = sorted(self._latencies)
        if ordered[len(ordered) // 2] > self.longest_s:
            return 0.0
        return min(self.longest_s, ordered[math.ceil(_PERCENTILE * len(ordered)) - 1])

    def answered(self, latency_s: float) -> None:
        """Note how long an answer took."""
        self._latencies.append(latency_s)
        self._is_late = latency_s > self.longest_s

    def late(self) -> None:
        """Note that an answer is past `longest_s`, or will never come."""
        self._is_late = True
