"""What all sessions of a process know of one cloud. Pure: seconds arrive as arguments."""

from dataclasses import dataclass, field

from agent.asr.hybrid.breaker import BreakerSettings, CircuitBreaker, Switch
from agent.asr.hybrid.events import Side
from agent.asr.hybrid.patience import LONGEST_S, Patience


@dataclass(slots=True)
class Counts:
    """Since the process started; counters, so that a monitor can take rates.

    Attributes:
        finals: By whose text was used.
        corrections: Cloud texts that came after the edge's final and differed.
        failures: Attempts that broke, by reason.
        switches: By the side that was switched to.
    """

    finals: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))
    corrections: int = 0
    failures: dict[str, int] = field(default_factory=dict)
    switches: dict[str, int] = field(default_factory=lambda: dict.fromkeys(Side, 0))


class CloudHealth:
    """Breaker, patience and counters of one cloud, told of every outcome. Pure."""

    def __init__(
        self, settings: BreakerSettings | None = None, longest_wait_s: float = LONGEST_S
    ) -> None:
        self.breaker = CircuitBreaker(settings)
        self.patience = Patience(longest_wait_s)
        self.counts = Counts()
        self.switches: list[Switch] = []
        """Those nobody has taken yet; see `take_switches`."""

    @property
    def is_usable(self) -> bool:
        """Whether the cloud may be sent audio."""
        return self.breaker.is_closed

    def answered(self, latency_s: float, now_s: float) -> None:
        """Note an answer."""
        self.patience.answered(latency_s)
        self._switched(self.breaker.answered(latency_s, now_s))

    def failed(self, now_s: float, reason: str) -> None:
        """Note a broken attempt."""
        self.patience.late()
        self.counts.failures[reason] = self.counts.failures.get(reason, 0) + 1
        self._switched(self.breaker.failed(now_s, reason))

    def probed(self, latency_s: float | None, now_s: float) -> None:
        """Note a probe's answer, None where none came."""
        if latency_s is not None:
            self.patience.answered(latency_s)
        self._switched(self.breaker.probed(latency_s, now_s))

    def take_switches(self) -> list[Switch]:
        """Switches since the last call, for the log."""
        taken, self.switches = self.switches, []
        return taken

    def _switched(self, switch: Switch | None) -> None:
        if switch:
            self.counts.switches[Side.EDGE if switch.is_open else Side.CLOUD] += 1
            self.switches.append(switch)
