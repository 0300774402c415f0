"""How likely a text is to stop behind its last word: a boundary language model. Pure.

Logistic regression on the last word, the last two and how many there are, fitted on requests to
voice assistants cut at every word (`benchmarks/fit_boundary.py`). The last words are the best
single cue of a turn's end (Raux and Eskenazi 2009). Short requests that were in the examples are
known by heart: most of what is as short is the beginning of something. The recogniser's punctuation
is not used: it puts a mark behind nearly every reading, finished or not.
"""

import re
import zlib
from collections.abc import Sequence

from agent.turns.boundary_table import BIAS, LENGTHS, STEP, WEIGHTS, WHOLE, WHOLE_SCORE

BUCKETS = 8192
"""Words share weights by a hash: 8 KB for everything, and nothing to look up."""

SHORT_WORDS = 5
"""Requests up to this long are known whole."""

WHOLE_BITS = 65536

_WORD = re.compile(r"[a-z]+(?:'[a-z]+)*|\d+")
_NUMBER = "0"
_START = "^"


def boundary(text: str, *, is_answer: bool = False) -> float:
    """Natural log-odds, not calibrated, that a request stops here.

    Args:
        text: A transcript, with or without punctuation.
        is_answer: Whether the agent had asked: an answer may be of any length, and its length then
            says nothing. Requests are rarely shorter than four words.
    """
    words = tokens(text)
    if not words:
        return BIAS + LENGTHS[0]
    length = LENGTHS[min(len(words), len(LENGTHS)) - 1]
    # Callers ask in fewer words than the examples' authors wrote, and must not wait for it.
    counted = LENGTHS[-1] if is_answer else (length + LENGTHS[-1]) / 2
    score = BIAS + counted + STEP * sum(WEIGHTS[at] - 128 for at in buckets(words))
    return max(score, WHOLE_SCORE) if is_known(words) else score


def is_known(words: Sequence[str]) -> bool:
    """Whether these words are a whole short request that was among the examples.

    A Bloom filter: of those that were not, about one in a hundred is taken for one.
    """
    if len(words) > SHORT_WORDS:
        return False
    return all(WHOLE[at // 8] >> at % 8 & 1 for at in marks(words))


def tokens(text: str) -> list[str]:
    """Lower-case words; every number is the same word."""
    plain = text.lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return [_NUMBER if word.isdigit() else word for word in _WORD.findall(plain)]


def buckets(words: Sequence[str]) -> tuple[int, int]:
    """Where the weights of the last word and of the last two lie."""
    before = words[-2] if len(words) > 1 else _START
    return _hash(f"1 {words[-1]}", BUCKETS), _hash(f"2 {before} {words[-1]}", BUCKETS)


def marks(words: Sequence[str]) -> tuple[int, int]:
    """The bits that stand for a whole request."""
    whole = " ".join(words)
    return _hash(f"a {whole}", WHOLE_BITS), _hash(f"b {whole}", WHOLE_BITS)


def _hash(name: str, places: int) -> int:
    return zlib.crc32(name.encode()) % places
