"""Names to expect: which stretches of a text might be one of them, misheard. Pure."""

import re
import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher

LEAST_SIMILARITY = 0.5
"""Share of letters in common, in order, from which on a stretch is looked at."""

_MOST_WORDS = 4
"""Of a stretch: a long name falls apart into short words ("Pembroke as you map")."""

_MOST_DIFFERENCE = 0.5
"""Of a stretch's length to the name's, in parts of the name's."""

_MOST = 4
"""Stretches looked at in one text; each costs a pass of the decoder."""

_LEAST_LETTERS = 4
"""Shorter names are like too many words."""


@dataclass(frozen=True, slots=True)
class Suspicion:
    """A stretch of words that might be a name.

    Attributes:
        first: Index of its first word.
        count: How many words.
        hint: The name.
        similarity: Of their letters, in [0, 1].
    """

    first: int
    count: int
    hint: str
    similarity: float


def suspicions(words: Sequence[str], hints: Sequence[str]) -> list[Suspicion]:
    """Find at most one stretch for each hint, the most similar first.

    A hint that stands in the text already has none.
    """
    keys = [_letters(word) for word in words]
    found = [_most_similar(keys, hint) for hint in hints]
    ordered = sorted(filter(None, found), key=lambda suspicion: -suspicion.similarity)
    return ordered[:_MOST]


def _most_similar(keys: Sequence[str], hint: str) -> Suspicion | None:
    wanted = _letters(hint)
    if len(wanted) < _LEAST_LETTERS:
        return None
    best: Suspicion | None = None
    for first in range(len(keys)):
        for count in range(1, min(_MOST_WORDS, len(keys) - first) + 1):
            stretch = "".join(keys[first : first + count])
            if stretch == wanted:
                return None
            if abs(len(stretch) - len(wanted)) > _MOST_DIFFERENCE * len(wanted):
                continue
            alike = SequenceMatcher(None, stretch, wanted, autojunk=False).ratio()
            if alike >= max(LEAST_SIMILARITY, best.similarity if best else 0.0):
                best = Suspicion(first, count, hint, alike)
    return best


def _letters(text: str) -> str:
    plain = unicodedata.normalize("NFKD", text.casefold())
    return re.sub(r"[\W_]", "", "".join(c for c in plain if not unicodedata.combining(c)))
