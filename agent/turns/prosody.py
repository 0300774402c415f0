"""When the voice is scored in a silence. Pure."""

from dataclasses import dataclass

from agent.audio.chunk import samples
from agent.turns.ending import PROSODY_EVERY_S
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP

_EVERY = samples(PROSODY_EVERY_S)
"""Silence between two scores. The answer changes as the silence grows, so asking once is not
enough."""


@dataclass(frozen=True, slots=True)
class ScoreDue:
    """A score is to be asked for now.

    Attributes:
        silence: Samples of digital silence to put behind the audio there is.
    """

    silence: int = 0


class ProsodySchedule:
    """Says at which hops Smart Turn is asked about one caller's silences. Pure.

    The first score of a silence is asked for at its first hop already, for the audio as it will be
    once the silence counts. It is known by then, instead of 0.06 to 0.14 s later and at the cost of
    the language model beside it. Over 180 pauses of recorded orders such scores differ from those
    of the real audio by -0.002 on average (log-odds) and by 0.26 in size.
    """

    def __init__(self) -> None:
        self._is_quiet = True
        self._was_speaking = False
        self._is_early = False
        self._due: int | None = None
        self.adopt(Profile.SHORT)

    def adopt(self, profile: Profile) -> None:
        """Expect silence to count after this profile's hangover."""
        readings = READINGS[profile]
        self._gate = readings.gate
        self._hangover = samples(readings.decision.min_silence_s)

    @property
    def is_early_valid(self) -> bool:
        """Whether nothing was said since a score was asked for ahead of its silence."""
        return self._is_early

    def hop(
        self, at_sample: int, probability: float, *, is_speaking: bool, is_free: bool
    ) -> ScoreDue | None:
        """Read one hop.

        Args:
            at_sample: Just after it, on the media clock.
            probability: Its speech posterior.
            is_speaking: Whether the user's speech has not stopped yet.
            is_free: Whether a score may be asked for now.
        """
        falls_quiet = probability < self._gate and not self._is_quiet
        self._is_quiet = probability < self._gate
        if is_speaking:
            return self._while_speaking(falls_quiet and is_free)
        if self._was_speaking:
            self._was_speaking = False
            self._due = at_sample + (_EVERY if self._is_early else 0)
        if self._due is None or at_sample < self._due or not is_free:
            return None
        self._due = at_sample + _EVERY
        return ScoreDue()

    def stop(self) -> None:
        """Ask no more in this silence."""
        self._due = None

    def _while_speaking(self, asks: bool) -> ScoreDue | None:
        self._due = None
        self._was_speaking = True
        self._is_early = asks or (self._is_early and self._is_quiet)
        return ScoreDue(self._hangover - HOP) if asks else None
