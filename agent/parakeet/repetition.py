"""Recognisers that fall into a loop: keep the phrase once. Pure."""

from dataclasses import replace

from agent.asr.repetition import LEAST_LOOPED, loop_start
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
    kept: list[int] = []
    for index in range(len(tokens)):
        kept.append(index)
        start = loop_start([tokens[place] for place in kept[-_LONGEST_LOOP:]])
        if start is not None:
            kept = kept[: max(0, len(kept) - _LONGEST_LOOP) + start]
    cut = len(tokens) - len(kept)
    if not cut:
        return transcript, 0
    words = transcript.words
    if len(words) == len(spelled):
        words = tuple(words[place] for place in kept)
    return replace(transcript, text=" ".join(spelled[place] for place in kept), words=words), cut


_LONGEST_LOOP = 64
"""Words looked back on: more than the longest phrase three times over."""
