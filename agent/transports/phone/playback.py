"""What the caller has heard of the agent, as the provider's marks tell it. Pure.

A mark sent behind a packet comes back once that packet has been played. It also comes back when a
clear has thrown the packet away, so marks older than the last clear mean nothing. Between marks the
caller's telephone plays on at the speed of speech: whoever receives a report carries it forward.
"""

import re
from dataclasses import dataclass

from agent.audio.chunk import samples

_MARK_EVERY_S = 0.1
"""A third of a short word, at ten small messages a second."""


_MARK = re.compile(r"([0-9]{1,9})\.([0-9]{1,12})")


@dataclass(frozen=True, slots=True)
class Report:
    """What has been played.

    Attributes:
        samples: Of speech, since the call began; what was cleared does not count.
        cleared: All else that was sent has just been dropped.
    """

    samples: int
    cleared: bool = False

    def message(self) -> dict[str, object]:
        """As `agent.processors.playout` reads it."""
        return {"type": "played", "samples": self.samples, "cleared": self.cleared}


class PlaybackClock:
    """Follow what was sent, and what of it was played. Pure.

    Args:
        sample_rate: Of the speech, in Hz.
        has_marks: Whether the provider sends marks back.
    """

    def __init__(self, sample_rate: int, *, has_marks: bool) -> None:
        self._rate = sample_rate
        self._has_marks = has_marks
        self._every = samples(_MARK_EVERY_S, sample_rate)
        self._generation = 0
        self._sent = 0
        self._played = 0
        self._marked = 0
        self._ends_s = 0.0
        self.strange_marks = 0
        """Marks that came back and were never sent, or from before a clear."""

    @property
    def is_drained(self) -> bool:
        """Whether the provider has said that all was played."""
        return self._played >= self._sent

    def left_s(self, now_s: float) -> float:
        """How long what was sent will still sound, as far as one can know without a report."""
        return max(0.0, self._ends_s - now_s)

    def starting(self, now_s: float) -> Report | None:
        """Speech is about to be sent.

        Returns:
            A report if the caller hears nothing now: from this moment on what is sent is played.
        """
        if not self._has_marks or self._ends_s > now_s:
            return None
        return Report(self._sent)

    def sent(self, speech: int, now_s: float) -> str | None:
        """Note a packet.

        Args:
            speech: Its samples of speech; silence and tones that fill it up do not count.
            now_s: When it left.

        Returns:
            The mark to send behind it, if one is due.
        """
        self._ends_s = max(self._ends_s, now_s) + speech / self._rate
        self._sent += speech
        if not self._has_marks or self._sent - self._marked < self._every:
            return None
        return self._mark()

    def last_mark(self) -> str | None:
        """A mark behind the very end, unless one is there already."""
        if not self._has_marks or self._marked == self._sent:
            return None
        return self._mark()

    def played(self, mark: str) -> Report | None:
        """Take a mark that came back.

        Returns:
            What has been played, unless the mark says nothing new.
        """
        generation, _, position = mark.partition(".")
        if (
            not (mark.isascii() and generation.isdecimal() and position.isdecimal())
            or len(mark) > 40
        ):
            self.strange_marks += 1
            return None
        at = int(position)
        if int(generation) != self._generation or not self._played < at <= self._sent:
            self.strange_marks += 1
            return None
        self._played = at
        return Report(at)

    def all_played(self, now_s: float) -> None:
        """The provider has nothing left to play."""
        self._played = self._sent
        self._ends_s = now_s

    def cleared(self, now_s: float) -> Report | None:
        """All that was not yet played has been thrown away.

        Returns:
            Where the count goes on from: what was played, as far as we know.
        """
        unplayed = round(self.left_s(now_s) * self._rate)
        self._sent = max(self._played, self._sent - unplayed)
        self._played = self._marked = self._sent
        self._ends_s = now_s
        self._generation += 1
        return Report(self._sent, cleared=True) if self._has_marks else None

    def _mark(self) -> str:
        self._marked = self._sent
        return f"{self._generation}.{self._sent}"
