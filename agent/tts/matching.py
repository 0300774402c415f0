"""Which written word each normalised word comes from. Pure."""

from collections.abc import Callable, Sequence
from difflib import SequenceMatcher

Owned = tuple[str, int]
"""A word and the index of the written word it belongs to."""


def match(
    before: Sequence[Owned],
    after: Sequence[str],
    normalise: Callable[[str], Sequence[str]],
) -> list[Owned]:
    """Hand the owners of the words before normalisation on to those after it.

    The normaliser rewrites across words ("Jan 5" to "January fifth"), so equal words anchor the
    two texts and what was rewritten between two anchors is divided by likeness.

    Args:
        before: Words with their owners, owners ascending.
        after: The normalised words.
        normalise: Normalises a single word out of context.

    Returns:
        `after` with owners, ascending.
    """
    owned: list[Owned] = []
    matcher = SequenceMatcher(None, [word for word, _ in before], after, autojunk=False)
    for kind, i1, i2, j1, j2 in matcher.get_opcodes():
        if kind == "equal":
            owned += [
                (after[j], before[i][1]) for i, j in zip(range(i1, i2), range(j1, j2), strict=True)
            ]
        elif i1 < i2:
            owned += _divide(before[i1:i2], after[j1:j2], normalise)
        elif j1 < j2:
            # Added between two words: part of the one before it ("the" in "Henry the eighth").
            owner = before[max(i1 - 1, 0)][1]
            owned += [(word, owner) for word in after[j1:j2]]
    return owned


def _divide(
    before: Sequence[Owned],
    after: Sequence[str],
    normalise: Callable[[str], Sequence[str]],
) -> list[Owned]:
    """Cut `after` into one run for each word before it, as alike in sum as can be."""
    guesses = [" ".join(normalise(word)).lower() for word, _ in before]
    # best[j]: likeness and cuts when the words so far have taken after[:j].
    best: dict[int, tuple[float, tuple[int, ...]]] = {0: (0.0, ())}
    for guess in guesses:
        reached: dict[int, tuple[float, tuple[int, ...]]] = {}
        for taken, (score, cuts) in best.items():
            for j in range(taken, len(after) + 1):
                total = score + _likeness(guess, " ".join(after[taken:j]).lower())
                if j not in reached or total > reached[j][0]:
                    reached[j] = (total, (*cuts, j))
        best = reached
    owned: list[Owned] = []
    start = 0
    for (_, owner), end in zip(before, best[len(after)][1], strict=True):
        owned += [(word, owner) for word in after[start:end]]
        start = end
    return owned


def _likeness(guess: str, candidate: str) -> float:
    if not candidate:
        # A written word without a sound is rare: worth less than any sound at all.
        return -0.5
    # Letters count for the length they have, or a short word would outvote a long one.
    ratio = SequenceMatcher(None, guess, candidate, autojunk=False).ratio()
    return ratio * (len(guess) + len(candidate)) / 10 + 0.1 * (guess[:1] == candidate[:1])
