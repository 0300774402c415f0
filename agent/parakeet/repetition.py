"""Recognisers that fall into a loop: keep the phrase once. Pure."""

from dataclasses import replace

from agent.asr.repetition import LEAST_LOOPED, LEAST_REPEATS, loop_start
from agent.parakeet.engine import Transcript


def without_loops(transcript: Transcript) -> tuple[Transcript, int]:
    """Cut runaway repetitions, such as a hinted name two hundred times over silence.

    Args:
        transcript: With or without words; without, it is judged by its text alone.

    Returns:
        The transcript with each loop's phrase once, and how many words were cut.
    """
    spelled = transcript.text.split()
    if len(spelled) < LEAST_LOOPED:
        return transcript, 0
    numbers: dict[str, int] = {}
    tokens = [numbers.setdefault(word.strip(".,!?").lower(), len(numbers)) for word in spelled]
    # The shortest loop says eight words again: without as many, there is none to look for.
    if len(tokens) - len(numbers) < _LEAST_AGAIN:
        return transcript, 0
    kept: list[int] = []
    index = 0
    while index < len(tokens):
        kept.append(index)
        index += 1
        window = [tokens[place] for place in kept[-_LONGEST_LOOP:]]
        start = loop_start(window)
        if start is None:
            continue
        kept = kept[: len(kept) - len(window) + start]
        period = _period(window, start)
        while index < len(tokens) and tokens[index] == tokens[index - period]:
            index += 1
    cut = len(tokens) - len(kept)
    if not cut:
        return transcript, 0
    words = transcript.words
    if len(words) == len(spelled):
        words = tuple(words[place] for place in kept)
    return replace(transcript, text=" ".join(spelled[place] for place in kept), words=words), cut


def _period(window: list[int], start: int) -> int:
    """Length of the phrase that is repeated from `start` to the end."""
    return next(
        period
        for period in range(1, start + 1)
        if all(window[at] == window[at - period] for at in range(start, len(window)))
    )


_LEAST_AGAIN = LEAST_LOOPED - LEAST_LOOPED // LEAST_REPEATS

_LONGEST_LOOP = 64
"""Words looked back on: more than the longest phrase three times over."""
