"""Word errors between two texts. Pure."""

import re
from collections.abc import Sequence


def plain_words(text: str) -> list[str]:
    """Words without case and punctuation, as they are counted."""
    return re.findall(r"[^\W_]+(?:'[^\W_]+)*", text.casefold())


def word_errors(wanted: Sequence[str], said: Sequence[str]) -> int:
    """Fewest words to insert, delete or replace to make `wanted` of `said`."""
    row = list(range(len(said) + 1))
    for count, word in enumerate(wanted, 1):
        diagonal, row[0] = row[0], count
        for place, other in enumerate(said, 1):
            cheapest = min(row[place] + 1, row[place - 1] + 1, diagonal + (word != other))
            diagonal, row[place] = row[place], cheapest
    return row[-1]
