"""What was misheard is put right in the conversation's memory. Pure."""

from collections.abc import Sequence
from typing import Any

_TURNS = 3
"""The caller's last turns that are looked at: a better text comes within seconds."""


def correct(messages: Sequence[Any], replaced: str, text: str) -> bool:
    """Put `text` in the place of `replaced`, where the caller said it last.

    Args:
        messages: Of the conversation, as chat completions have them; changed in place.
        replaced: Words of one of the caller's messages, as they stand there.
        text: What was said instead.

    Returns:
        Whether the words were found.
    """
    turns = [
        message
        for message in messages
        if isinstance(message, dict)
        and message.get("role") == "user"
        and isinstance(message.get("content"), str)
    ]
    for message in reversed(turns[-_TURNS:]):
        before, found, after = message["content"].rpartition(replaced)
        if found:
            message["content"] = before + text + after
            return True
    return False
