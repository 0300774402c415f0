"""How likely a text is to stop behind its last word: a boundary language model. Pure.

Logistic regression on the last word, the last two, how many there are, also behind the first one
("what" opens shorter turns than "I'd"), and short texts as a whole. Fitted on what people say to
machines, cut at every word (`benchmarks/fit_boundary.py`). The last words are the best single cue
of a turn's end (Raux and Eskenazi 2009). The recogniser's punctuation is not used: it puts a mark
behind nearly every reading, finished or not.
"""

import re
import zlib
from collections.abc import Sequence

from agent.turns.boundary_table import BIAS, STEP, WEIGHTS

BUCKETS = 32768
"""Features share weights by a hash: 32 KB for everything, and nothing to look up."""

COUNTED_WORDS = 8
"""All longer texts count as this long."""

WHOLE_WORDS = 3
"""Texts up to this long are known whole: "thank you", "how are you"."""

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*|\d+")
_NUMBER = "0"
_START = "^"


def boundary(text: str, *, is_answer: bool = False) -> float:
    """Natural log-odds, with one pause a turn, that it stops here.

    Args:
        text: A transcript, with or without punctuation.
        is_answer: Whether the agent had asked for it: answers are shorter than requests.
    """
    places = buckets(tokens(text), is_answer=is_answer)
    return BIAS + STEP * sum(WEIGHTS[place] - 128 for place in places)


def tokens(text: str) -> list[str]:
    """Lower-case words; every number is the same word."""
    plain = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return [_NUMBER if word.isdigit() else word for word in _WORD.findall(plain)]


def buckets(words: Sequence[str], *, is_answer: bool) -> list[int]:
    """Where the weights of a text's features lie: always five."""
    first, last = (words[0], words[-1]) if words else (_START, _START)
    before = words[-2] if len(words) > 1 else _START
    count = min(len(words), COUNTED_WORDS)
    whole = " ".join(words) if len(words) <= WHOLE_WORDS else ""
    opening = _START if is_answer else first
    names = (
        f"last {last}",
        f"two {before} {last}",
        f"count {count} {is_answer}",
        f"opening {opening} {count}",
        f"whole {whole}",
    )
    return [zlib.crc32(name.encode()) % BUCKETS for name in names]
