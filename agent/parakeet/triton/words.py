"""Words as they travel in the tensor ``WORDS``: a JSON list. Pure."""

import json
from collections.abc import Sequence
from dataclasses import asdict

from agent.asr.hypothesis import Word


def words_to(words: Sequence[Word]) -> str:
    """Write words, times in samples at 16 kHz."""
    return json.dumps([asdict(word) for word in words])


def words_from(text: str) -> tuple[Word, ...]:
    """Read what `words_to` wrote.

    Raises:
        ValueError: The server says something else.
    """
    try:
        return tuple(
            Word(
                str(entry["text"]),
                int(entry["start_sample"]),
                int(entry["end_sample"]),
                float(entry["confidence"]),
            )
            for entry in json.loads(text)
        )
    except (KeyError, TypeError) as error:
        raise ValueError(f"not a list of words: {text[:80]!r}") from error
