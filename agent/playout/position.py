"""How much of what was sent has been heard. Pure: time arrives as data."""

from collections import deque


class HeardPosition:
    """Follow the listener's playout position. Pure.

    A client that reports what it has played is believed, and its playing is carried forward
    between reports; of one that cannot, the constant delay of its channel is assumed.
    """

    def __init__(self, sample_rate: int, delay_s: float) -> None:
        """Begin with nothing sent.

        Args:
            sample_rate: Of the positions, in Hz.
            delay_s: From a packet's leaving to its sounding, when nothing is reported.
        """
        self._rate = sample_rate
        self.delay_s = delay_s
        self._sent: deque[tuple[float, int]] = deque()
        self._last_sent = 0
        self._passed = 0
        self._wire = 0
        self._base = 0
        self._wire_to_position: deque[tuple[int, int]] = deque()
        self._report: tuple[float, int] | None = None

    @property
    def is_reported(self) -> bool:
        """Whether the client says what it has played."""
        return self._report is not None

    def sent(self, samples: int, position: int, now_s: float) -> None:
        """Note a packet.

        Args:
            samples: Its length on the wire.
            position: Playout position just after it.
            now_s: When it left.
        """
        self._wire += samples
        self._last_sent = position
        self._sent.append((now_s, position))
        self._wire_to_position.append((self._wire, position))

    def reported(self, wire_samples: int, now_s: float, *, cleared: bool = False) -> None:
        """Take a client's report of samples played since it joined.

        Args:
            wire_samples: What it has played; never counts what it dropped.
            now_s: When the report came.
            cleared: It has just dropped all it had, so its count goes on from here.
        """
        played = max(self._base, min(self._base + wire_samples, self._wire))
        self._report = (now_s, played)
        if cleared:
            self._wire = played
            self._wire_to_position.clear()

    def at(self, now_s: float) -> int:
        """Playout position the listener has heard up to."""
        if self._report is not None:
            self._follow_report(now_s)
        else:
            while self._sent and self._sent[0][0] + self.delay_s <= now_s:
                self._passed = max(self._passed, self._sent.popleft()[1])
            # A client that never reports must not let these grow for hours.
            while self._wire_to_position and self._wire_to_position[0][1] <= self._passed:
                self._wire_to_position.popleft()
        return self._passed

    def settled_at(self) -> float:
        """When all that was sent will have been heard, if nothing is reported."""
        return self._sent[-1][0] + self.delay_s if self._sent else 0.0

    def cut(self) -> None:
        """What was sent and not heard will not be heard any more."""
        self._sent.clear()
        self._passed = max(self._passed, self._last_sent)

    def rejoined(self) -> None:
        """The client has come back on another connection, and counts from zero."""
        self.cut()
        self._base = self._wire
        self._report = None
        self._wire_to_position.clear()

    def _follow_report(self, now_s: float) -> None:
        assert self._report is not None
        reported_at_s, wire = self._report
        reached = wire + round((now_s - reported_at_s) * self._rate)
        while self._wire_to_position and self._wire_to_position[0][0] <= reached:
            self._passed = max(self._passed, self._wire_to_position.popleft()[1])
        while self._sent and self._sent[0][1] <= self._passed:
            self._sent.popleft()
