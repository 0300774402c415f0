"""From the durations a voice predicts to the times of written words. Pure."""

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from agent.tts.phonemes import PronouncedWord
from agent.tts.speech import SpokenWord

STEPS_PER_SECOND = 40
"""Both voices predict how many steps of 25 ms each phoneme lasts."""


def word_times(
    words: Sequence[PronouncedWord],
    durations: npt.NDArray[np.int64],
    lead_s: float = 0.0,
) -> tuple[SpokenWord, ...]:
    """Time every written word; a word without a sound stands where it would be, zero long.

    Args:
        words: With ranges of phonemes.
        durations: Steps of each model input id, shape (n,): a pad, n - 2 phonemes, a pad.
        lead_s: Seconds cut from the start of the audio.
    """
    ends = np.cumsum(durations) / STEPS_PER_SECOND - lead_s
    timed = []
    for word in words:
        # Phoneme i is input i + 1, so it begins where input i ends.
        start_s = max(0.0, float(ends[word.start]))
        end_s = max(start_s, float(ends[word.end]))
        timed.append(SpokenWord(word.text, start_s, end_s))
    return tuple(timed)
