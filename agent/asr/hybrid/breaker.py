"""Whether the cloud is sent anything at all. Pure: seconds arrive as arguments."""

from collections import deque
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class BreakerSettings:
    """When the cloud is left, and when it is tried again."""

    failures: int = 3
    """Failures in a row that open the breaker. One broken connection is mended by the next."""

    window: int = 10
    """Outcomes looked at for the two shares below."""

    bad_share: float = 0.5
    """Of the window, failed or slow, that opens the breaker; from half a window of outcomes on."""

    slow_s: float = 1.0
    """An answer later than this after it was asked for is of no use to a conversation."""

    probe_every_s: float = 5.0
    """Between probes while open. A repaired cloud is back within this."""

    memory_s: float = 120.0
    """Each earlier opening within so long asks for one probe more before the breaker closes."""

    most_probes: int = 6
    """Probes in a row that are asked for at the most."""


@dataclass(frozen=True, slots=True)
class Switch:
    """The breaker opened or closed.

    Attributes:
        is_open: Whether the cloud is left (True) or used again (False).
        at_s: When.
        reason: In words, for the log.
    """

    is_open: bool
    at_s: float
    reason: str


class CircuitBreaker:
    """Opens on failures and slowness, closes after probes with a stored clip. Pure.

    A cloud that comes and goes would otherwise be switched to and from without end: every opening
    of the last minutes must be made good by one more probe in a row, so that it has to be well for
    longer each time it fell ill.
    """

    def __init__(self, settings: BreakerSettings | None = None) -> None:
        self._settings = settings or BreakerSettings()
        self._outcomes: deque[bool] = deque(maxlen=self._settings.window)
        self._failures = 0
        self._opened: deque[float] = deque(maxlen=self._settings.most_probes)
        self._passed = 0
        self._next_probe_s: float | None = None
        self.is_probing = False

    @property
    def is_closed(self) -> bool:
        """Whether the cloud may be used."""
        return self._next_probe_s is None and not self.is_probing

    @property
    def next_probe_s(self) -> float | None:
        """When the next probe is due; None while closed or while one is out."""
        return self._next_probe_s

    def answered(self, latency_s: float, now_s: float) -> Switch | None:
        """Note an answer, so many seconds after it was asked for."""
        self._failures = 0
        return self._note(latency_s <= self._settings.slow_s, now_s, "most answers are slow")

    def failed(self, now_s: float, reason: str) -> Switch | None:
        """Note a connection that broke, an error or an answer that never came."""
        self._failures += 1
        if self._failures >= self._settings.failures and self.is_closed:
            return self._open(now_s, reason)
        return self._note(False, now_s, reason)

    def probe(self) -> None:
        """Note that a probe is out."""
        self._next_probe_s = None
        self.is_probing = True

    def probed(self, latency_s: float | None, now_s: float) -> Switch | None:
        """Note after how long the probe that is out was answered; None where it was not."""
        self.is_probing = False
        passed = latency_s is not None and latency_s <= self._settings.slow_s
        self._passed = self._passed + 1 if passed else 0
        if self._passed < self._probes_needed(now_s):
            self._next_probe_s = now_s + self._settings.probe_every_s
            return None
        self._outcomes.clear()
        self._failures = 0
        return Switch(False, now_s, f"{self._passed} probe(s) answered in time")

    def _note(self, good: bool, now_s: float, reason: str) -> Switch | None:
        if not self.is_closed:
            # An answer to what was asked before it opened.
            return None
        self._outcomes.append(good)
        bad = self._outcomes.count(False)
        enough = len(self._outcomes) >= self._settings.window / 2
        if good or not enough or bad < self._settings.bad_share * len(self._outcomes):
            return None
        return self._open(now_s, reason)

    def _open(self, now_s: float, reason: str) -> Switch:
        self._opened.append(now_s)
        self._passed = 0
        self._next_probe_s = now_s + self._settings.probe_every_s
        return Switch(True, now_s, reason)

    def _probes_needed(self, now_s: float) -> int:
        return max(1, sum(now_s - at <= self._settings.memory_s for at in self._opened))
