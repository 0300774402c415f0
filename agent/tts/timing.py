"""From the durations a voice predicts to the times of written words. Pure."""

from collections.abc import Iterable, Sequence

import numpy as np
import numpy.typing as npt

from agent.tts.phonemes import PronouncedWord
from agent.tts.speech import SpokenWord

STEPS_PER_SECOND = 40
"""Both voices predict how many steps of 25 ms each phoneme lasts."""


def word_times(
    words: Sequence[PronouncedWord],
    durations: npt.NDArray[np.int64],
) -> tuple[SpokenWord, ...]:
    """Time every written word; a word without a sound stands where it would be, zero long.

    Args:
        words: With ranges of phonemes.
        durations: Steps of each model input id, shape (n,): a pad, n - 2 phonemes, a pad.
    """
    ends = np.cumsum(durations) / STEPS_PER_SECOND
    timed = []
    for word in words:
        # Phoneme i is input i + 1, so it begins where input i ends.
        timed.append(SpokenWord(word.text, float(ends[word.start]), float(ends[word.end])))
    return tuple(timed)


def shift(words: Iterable[SpokenWord], by_s: float) -> tuple[SpokenWord, ...]:
    """Move words in time, none before the start."""
    return tuple(
        SpokenWord(word.text, max(0.0, word.start_s + by_s), max(0.0, word.end_s + by_s))
        for word in words
    )
