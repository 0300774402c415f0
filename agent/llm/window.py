"""How much of a long conversation the model is shown. Pure."""

from collections.abc import Sequence

_CHARACTERS_PER_TOKEN = 3.5
"""English prose has about 4.5; numbers and names have less. Too low a guess only trims early."""

_TOKENS_PER_MESSAGE = 5
"""The chat template's own."""


class ConversationWindow:
    """Leaves the oldest messages out before the model's context overflows. Pure.

    Much is left out at once, and then nothing for a long time: whatever comes first stays the
    same from turn to turn, so the server's cached prefix stays valid.

    Args:
        most_tokens: Of messages shown; what the model's context holds, less prompt and answer.
        kept_tokens: Shown after leaving some out.
    """

    def __init__(self, most_tokens: int, kept_tokens: int) -> None:
        self._most = most_tokens
        self._kept = kept_tokens
        self._first = 0

    def first_shown(self, texts: Sequence[str]) -> int:
        """Index of the first message to show, given the text of every message so far."""
        if self._first > len(texts):
            # Another conversation, or one that was cut elsewhere.
            self._first = 0
        if _tokens(texts[self._first :]) > self._most:
            while self._first < len(texts) - 1 and _tokens(texts[self._first :]) > self._kept:
                self._first += 1
        return self._first


def _tokens(texts: Sequence[str]) -> int:
    return sum(int(len(text) / _CHARACTERS_PER_TOKEN) + _TOKENS_PER_MESSAGE for text in texts)
