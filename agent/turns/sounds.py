"""Words as they sound, near enough to compare what two spellings may be of. Pure.

Not a phonemiser: a key of consonant classes and vowel places, in the tradition of Metaphone
(Philips 1990), so that spellings a recogniser chooses between get the same or nearly the same key.
"""

import re
from collections.abc import Sequence
from functools import lru_cache

_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*")

_RULES = tuple(
    (re.compile(pattern), replacement)
    for pattern, replacement in (
        (r"'", ""),
        (r"^(?:kn|gn|pn)", "n"), (r"^wr", "r"), (r"^ps", "s"), (r"^wh", "w"), (r"^x", "s"),
        (r"mb$", "m"), (r"ough", "o"), (r"igh", "i"), (r"augh", "o"), (r"gh", "g"),
        (r"tch", "C"), (r"sch", "sk"), (r"ch", "C"), (r"sh|ti(?=on)|ci(?=a|ous)", "S"),
        (r"th", "T"), (r"ph", "f"), (r"ck|q|cc(?=[aou])", "k"), (r"dg(?=e)", "j"),
        (r"c(?=[eiy])", "s"), (r"c", "k"), (r"g(?=[eiy])", "j"), (r"x", "ks"), (r"z", "s"),
        (r"v", "f"), (r"(?<=[aeiouy])r(?![aeiouy])", ""), (r"(?<=[aeiou])w(?![aeiou])", ""),
        (r"(?<=[aeiouy][^aeiouy])e$", ""), (r"^y(?=[aeiou])", "Y"),
        (r"ee|ea|ie|ey|y|i|e|ai|ay", "I"),
        (r"[aou]+", "A"), (r"(?:AI|IA|A)+", "A"), (r"I+", "I"), (r"(.)\1+", r"\1"),
    )
)  # fmt: skip
"""Applied in order. Vowels keep only their place, front (I) or back (A): it is what a recogniser
gets right; voicing of s and f is dropped, as it is least heard over a telephone."""


_AS_SAID = {"ok": "okay"}


def tokens(text: str) -> list[str]:
    """Words in lower case without punctuation; apostrophes inside a word stay."""
    plain = _TOKEN.findall(text.lower().replace("’", "'"))
    return [_AS_SAID.get(token, token) for token in plain]


@lru_cache(maxsize=4096)
def sound(word: str) -> str:
    """Give the key of one word, or of several written together. Kept: partials repeat words."""
    key = word.lower()
    for pattern, replacement in _RULES:
        key = pattern.sub(replacement, key)
    return key


def distance(one: Sequence[str] | str, other: Sequence[str] | str) -> int:
    """Insertions, deletions and substitutions between two sequences (Levenshtein 1966)."""
    row = list(range(len(other) + 1))
    for i, mine in enumerate(one, 1):
        left, row[0] = row[0], i
        for j, theirs in enumerate(other, 1):
            left, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, left + (mine != theirs))
    return row[-1]


_MOST_WRONG = 0.25
"""Short words have many neighbours: one wrong sound in four, none in three."""


def alike(one: str, other: str) -> float:
    """How alike two keys are: 1.0 the same, 0.0 from more than a quarter of wrong sounds on."""
    if one == other:
        return 1.0
    longest = max(len(one), len(other))
    if abs(len(one) - len(other)) > _MOST_WRONG * longest:
        return 0.0
    wrong = distance(one, other) / longest
    return 1.0 - wrong if wrong <= _MOST_WRONG else 0.0
