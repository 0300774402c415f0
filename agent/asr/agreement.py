"""What two readings of growing audio have in common, and what of one is fit to show. Pure."""

import re
from collections.abc import Sequence

from agent.asr.hypothesis import Word


def agreed(earlier: Sequence[Word], later: Sequence[Word]) -> int:
    """How many words both readings begin with, whatever their case and punctuation."""
    count = 0
    for before, after in zip(earlier, later, strict=False):
        if plain(before.text) != plain(after.text):
            break
        count += 1
    return count


def plain(word: str) -> str:
    """Strip a word of case and punctuation."""
    return re.sub(r"[^\w']", "", word).casefold()


def showable(words: Sequence[Word], end_sample: int, edge: int) -> tuple[Word, ...]:
    """Choose what of a reading in mid-speech is worth showing.

    Args:
        words: As recognised, on one clock with `end_sample`.
        end_sample: Just after the audio that was read.
        edge: A last word that ends within so many samples of it is withheld, unless it is all
            there is.

    Returns:
        The words without the withheld one. The last carries no full stop: it would say only that
        the audio stops there.
    """
    shown = list(words)
    if len(shown) > 1 and shown[-1].end_sample > end_sample - edge:
        shown.pop()
    if shown:
        last = shown[-1]
        text = last.text.rstrip(".,?!;:") or last.text
        shown[-1] = Word(text, last.start_sample, last.end_sample, last.confidence)
    return tuple(shown)
