"""Whose speech it is: the caller's, or that of people who talk behind him. Pure.

The speech detector knows speech from noise, but not the caller from a television: with people
talking 20 dB below him, a caller who has finished never falls silent. Level tells them apart, once
two are known: how loud the caller speaks, and how loud it is in his pauses. What lies far below the
one and does not stand out of the other is none of his.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import samples
from agent.vad.silero import HOP

Levels = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class ForegroundSettings:
    """When sound is somebody else's. Chosen by `benchmarks/background.py`."""

    below_caller_db: float = 10.0
    """It lies so far below the caller's own speech at least."""

    above_behind_db: float = 8.0
    """What stands so far out of what is heard in his pauses is his, however soft: on a quiet line
    nobody is ever taken for somebody else."""

    peak_s: float = 0.192
    """Levels are compared by their peaks over this time: no consonant is soft for so long."""

    caller_s: float = 0.384
    """His level is what so much of his latest speech reaches: a slammed door is shorter."""

    caller_memory_s: float = 8.0
    """His latest speech: who goes on more softly has a lower level after so much of it."""

    behind_memory_s: float = 12.0
    """Time over which the level of his pauses is taken."""

    behind_share: float = 0.4
    """Share of his pauses that is quieter than it: talk has gaps, but what he said more softly
    before has more of them."""

    behind_least_s: float = 1.0
    """Pauses there must have been before their level is believed."""


@dataclass(frozen=True, slots=True)
class Attributed:
    """A hop's posterior, told whose speech it is of.

    Attributes:
        probability: That the hop holds speech of the caller's.
        behind: The speech detector's own posterior, where the sound is that of people behind him;
            None where it counts.
        caller_dbfs: Level of the caller's speech; None before it is known.
        behind_dbfs: Level of what is heard in his pauses; None before there were any.
    """

    probability: float
    behind: float | None = None
    caller_dbfs: float | None = None
    behind_dbfs: float | None = None


_SPEECH = 0.5
"""Posterior from which a hop teaches how loud the caller is."""

_HEARABLE = 0.1
"""Posteriors below this no reading takes for speech, whoever's it is."""

_ECHO_DB = 6.0
"""Our own voice must be expected so far below the microphone's level, or nothing is learnt."""

_LIKE_DB = 6.0
"""A level so far above an earlier one is another speaker's, as a rule."""

_HEARD_BEHIND = 4
"""One in so many hops of speech behind the caller counts as his all the same. Where somebody else
takes over the microphone, or a shout was taken for the caller, the one who has been talking for
half a minute is the caller."""

_SILENT_DBFS = -96.0


class Foreground:
    """Follows the caller's level and the one behind him. Pure.

    Before both are known everything is his, so the first speaker of a call is heard however soft.
    """

    def __init__(self, settings: ForegroundSettings | None = None) -> None:
        self._settings = settings = settings or ForegroundSettings()
        self._latest = _Ring(_hops(settings.peak_s))
        self._speech = _Ring(_hops(settings.caller_memory_s))
        self._peaks = _Ring(_hops(settings.behind_memory_s))
        self._his = _Ring(_hops(settings.behind_memory_s))
        """Of each peak: his level then, where it was taken for his speech. That is no pause."""
        self._his_for = 0
        self._talked_behind = 0

    def push(self, probability: float, level_dbfs: float, echo_dbfs: float) -> Attributed:
        """Take one hop of 32 ms.

        Args:
            probability: That it holds speech, anybody's.
            level_dbfs: Of the microphone.
            echo_dbfs: Level expected of the agent's own voice in it.
        """
        settings = self._settings
        self._latest.push(level_dbfs)
        peak = float(self._latest.values.max())
        caller = self._caller()
        behind = None if caller is None else self._behind(caller)
        is_low = caller is not None and peak < caller - settings.below_caller_db
        is_behind = is_low and behind is not None and peak < behind + settings.above_behind_db
        if not max(_SILENT_DBFS, level_dbfs - _ECHO_DB) < echo_dbfs:
            if probability >= _SPEECH:
                self._learn_caller(level_dbfs, is_behind=is_behind)
            # A peak outlasts the speech it is of.
            is_his = probability >= _SPEECH and not is_behind and not (is_low and behind is None)
            self._his_for = _hops(settings.peak_s) if is_his else self._his_for - 1
            self._peaks.push(peak)
            self._his.push(caller if caller is not None and self._his_for > 0 else _SILENT_DBFS)
        caller_dbfs = None if caller is None else round(caller, 1)
        behind_dbfs = None if behind is None else round(behind, 1)
        if is_behind and probability >= _HEARABLE:
            return Attributed(0.0, probability, caller_dbfs, behind_dbfs)
        return Attributed(probability, None, caller_dbfs, behind_dbfs)

    def _learn_caller(self, level_dbfs: float, *, is_behind: bool) -> None:
        self._talked_behind = self._talked_behind + 1 if is_behind else 0
        if self._talked_behind % _HEARD_BEHIND == 0:
            self._speech.push(level_dbfs)

    def _caller(self) -> float | None:
        count = _hops(self._settings.caller_s)
        levels = self._speech.values
        if len(levels) < count:
            return None
        return float(np.partition(levels, -count)[-count])

    def _behind(self, caller_dbfs: float) -> float | None:
        # Taken anew each time: what was heard before the caller spoke was his until he did. What he
        # said in a voice like today's stays his.
        peaks = self._peaks.values
        is_low = peaks < caller_dbfs - self._settings.below_caller_db
        pauses = peaks[is_low & (self._his.values < caller_dbfs - _LIKE_DB)]
        if len(pauses) < _hops(self._settings.behind_least_s):
            return None
        rank = int(self._settings.behind_share * (len(pauses) - 1))
        return float(np.partition(pauses, rank)[rank])


class _Ring:
    """The latest values."""

    def __init__(self, size: int) -> None:
        self._values = np.zeros(size)
        self._count = 0

    @property
    def values(self) -> Levels:
        """In no particular order."""
        return self._values[: min(self._count, len(self._values))]

    def push(self, value: float) -> None:
        self._values[self._count % len(self._values)] = value
        self._count += 1


def _hops(duration_s: float) -> int:
    return max(1, round(samples(duration_s) / HOP))
