"""Decoders that loop: find where a text begins to repeat itself. Pure."""

from collections.abc import Sequence

LONGEST_BLOCK = 12
"""Tokens in the longest repeated phrase looked for."""

LEAST_LOOPED = 12
"""Tokens the repetitions must cover together. People say "no no no no" and dictate "zero zero zero
zero"; hardly anyone says a word twelve times or a phrase of four words three times on end."""

LEAST_REPEATS = 3


def loop_start(tokens: Sequence[int]) -> int | None:
    """Tell where the repetition at the end of `tokens` begins.

    Args:
        tokens: All tokens so far; only a loop that reaches the last one counts.

    Returns:
        The index of the second copy, so that ``tokens[:index]`` holds the phrase once; None where
        the end is no loop.
    """
    for block in range(1, LONGEST_BLOCK + 1):
        same = 0
        while (
            same + block < len(tokens)
            and tokens[len(tokens) - 1 - same] == tokens[len(tokens) - 1 - same - block]
        ):
            same += 1
        # `same` tokens equal those one block before: that many and one block more are the loop.
        looped = same + block
        if looped >= LEAST_LOOPED and looped >= LEAST_REPEATS * block:
            return len(tokens) - looped + block
    return None
