"""How long the turn has lasted already. Pure."""

import math
from collections.abc import Sequence

from agent.asr.hypothesis import Word
from agent.audio.chunk import seconds

TYPICAL_S = 3.0
"""A spoken order, at the median of 160."""

SHORTEST_S, LONGEST_S = 0.3, 4.0
"""What is shorter or longer says no more than that."""


def length(words: Sequence[Word]) -> float:
    """Logarithm of the time from the first word to the last, against that of a typical request.

    A request that has just begun is rarely over, however finished it reads: "I'd like coffee" may
    be a whole order and the beginning of a hundred. 0 where no word has a time.
    """
    if not words:
        return 0.0
    lasted_s = seconds(words[-1].end_sample - words[0].start_sample)
    return math.log(min(max(lasted_s, SHORTEST_S), LONGEST_S) / TYPICAL_S)
