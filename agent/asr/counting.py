"""Moonshine counts on by itself behind a number: what there was no audio for is dropped. Pure."""

import re
from collections.abc import Sequence
from itertools import pairwise, takewhile
from statistics import median

from agent.asr.hypothesis import Word
from agent.audio.chunk import samples

SHORTEST = samples(0.1)
"""Samples under which a number was hardly said. Of 3,400 spoken digits the model's own times gave
the shortest 0.11 s; what it counts on by itself gets the 0.03 to 0.09 s of a few frames."""

USUAL = samples(0.5)
"""Samples from one spoken digit to the next, where no others came before to go by."""

_NAMES = (
    "zero one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen "
    "sixteen seventeen eighteen nineteen twenty"
)
_VALUES = {name: value for value, name in enumerate(_NAMES.split())}


def counted_on(words: Sequence[Word]) -> int:
    """How many words at the end only go on counting, and had no time to be said.

    They take their frames from the number that was said last. So the time from its beginning to
    their end is held against the pace of the numbers before: as many as fit into it were said.
    """
    numbers = list(takewhile(lambda word: _value(word) is not None, reversed(words)))
    short = list(takewhile(lambda word: _length(word) < SHORTEST, numbers))
    said = numbers[len(short) :]
    if not short or not said or _step(said[0], short[-1]) not in (0, 1):
        return 0
    paces = [after.start_sample - before.start_sample for after, before in pairwise(said)]
    fitting = round((words[-1].end_sample - said[0].start_sample) / median(paces or [USUAL]))
    return max(0, len(short) - max(0, fitting - 1))


def _step(before: Word, after: Word) -> int | None:
    first, second = _value(before), _value(after)
    return None if first is None or second is None else second - first


def _length(word: Word) -> int:
    return word.end_sample - word.start_sample


def _value(word: Word) -> int | None:
    plain = re.sub(r"\W", "", word.text.lower())
    return int(plain) if plain.isdecimal() else _VALUES.get(plain)
