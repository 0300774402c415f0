"""Does a text sound finished? Read off its last words. Pure."""

import re
from collections.abc import Sequence
from enum import Enum

from agent.asr.hypothesis import Word
from agent.audio.chunk import seconds


class Completeness(Enum):
    """How finished a partial transcript reads."""

    EMPTY = "empty"
    TRAILING = "trailing"
    """Ends on a word that cannot end a sentence: a conjunction, an article, a filler."""
    OPEN = "open"
    CLOSED = "closed"
    """Ends with the recogniser's full stop, question mark or exclamation mark."""


_TRAILING_WORDS = frozenset(
    # Words that call for another one, and hesitations. Only those that hardly ever end an
    # English sentence: "in", "on", "so", "it" and "you" often do and are left out. (The last
    # words are the best single cue of a turn's end: Raux and Eskenazi 2009.)
    (
        "a an the and but or nor because if when while whose than as of to at for from with by "
        "into about my your our their its i'm i'd i'll i've we're we'll you're they're "
        "um uh er hmm erm mm ah"
    ).split()
)
_WORD = re.compile(r"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+")


def completeness(text: str) -> Completeness:
    """Judge how finished `text` reads.

    Args:
        text: A transcript with the recogniser's own punctuation.
    """
    stripped = text.rstrip()
    words = _WORD.findall(stripped.lower().replace("’", "'"))
    if not words:
        return Completeness.EMPTY
    ends_sentence = stripped[-1] in ".?!" and not stripped.endswith(("...", "…"))
    # A recogniser puts a full stop behind every decode: a trailing word outweighs it.
    if words[-1] in _TRAILING_WORDS and stripped[-1] != "?":
        return Completeness.TRAILING
    return Completeness.CLOSED if ends_sentence else Completeness.OPEN


def without_mark(text: str) -> str:
    """`text` up to its last word: what the recogniser puts behind it says little."""
    return text.rstrip(" .?!,;:…-")


SHORTEST_DIGIT_S = 0.12
"""Nobody says a digit faster. A recogniser that counts on by itself ("7, 8, 9, 10, 11") gives each
of them 0.05 s."""

_DIGIT_WORDS = frozenset("oh zero one two three four five six seven eight nine".split())
_REPEATS = {"double": 1, "triple": 2}
_DIGITS_OR_WORDS = re.compile(r"[a-z]+|\d+")

_A_GROUP = 3


def digits_said(words: Sequence[Word]) -> int:
    """How many digits were dictated, without those that there was no time to say."""
    return digits_in(" ".join(word.text for word in words if _had_time(word)))


def _had_time(word: Word) -> bool:
    lasted_s = seconds(word.end_sample - word.start_sample)
    return lasted_s >= SHORTEST_DIGIT_S * digits_in(word.text)


def is_being_dictated(text: str) -> bool:
    """Whether `text` ends in three digits or more: a number, or the first group of one."""
    tail: list[str] = []
    for word in reversed(_DIGITS_OR_WORDS.findall(text.lower())):
        if not (word.isdigit() or word in _DIGIT_WORDS or word in _REPEATS):
            break
        tail.insert(0, word)
    return digits_in(" ".join(tail)) >= _A_GROUP


def digits_in(text: str) -> int:
    """How many digits were dictated, written as figures or as words: "double seven" is two."""
    count = extra = 0
    for word in _DIGITS_OR_WORDS.findall(text.lower()):
        if word in _REPEATS:
            extra = _REPEATS[word]
            continue
        if word.isdigit():
            count += len(word) + extra
        elif word in _DIGIT_WORDS:
            count += 1 + extra
        extra = 0
    return count
