"""Where a long utterance may be cut so that no word is hurt. Pure."""

from collections.abc import Sequence

import numpy as np

from agent.asr.hypothesis import Word
from agent.audio.chunk import SAMPLE_RATE, Float32Array

HOP = SAMPLE_RATE // 100
"""Loudness is taken over 10 ms."""

REACH = SAMPLE_RATE // 10
"""How far into its neighbours a gap between words is searched: their borders are estimates."""


def quietest_gap(
    signal: Float32Array, words: Sequence[Word], earliest: int, latest: int
) -> tuple[int, int] | None:
    """Choose the quietest place between two words.

    Args:
        signal: Mono samples, shape (n,), float32, 16 kHz.
        words: Spoken in it, positions counted from its first sample.
        earliest: No cut before this sample.
        latest: No cut after this sample.

    Returns:
        The sample to cut at and how many of `words` lie before it; None where no gap between two
        words falls into the range.
    """
    best: tuple[float, int, int] | None = None
    for before in range(1, len(words)):
        left, right = words[before - 1], words[before]
        start = max(left.end_sample - REACH, left.start_sample, earliest)
        end = min(right.start_sample + REACH, right.end_sample, latest)
        hops = (end - start) // HOP
        if hops < 1:
            continue
        loudness = _loudness(signal[start : start + hops * HOP])
        hop = int(loudness.argmin())
        if best is None or loudness[hop] < best[0]:
            best = (float(loudness[hop]), start + hop * HOP + HOP // 2, before)
    return None if best is None else best[1:]


def _loudness(signal: Float32Array) -> Float32Array:
    """Mean power of each hop with its neighbours: a pause beats the closure of a plosive."""
    power = np.mean(np.square(signal.reshape(-1, HOP)), axis=1)
    padded = np.pad(power, 2, mode="edge")
    smooth: Float32Array = np.convolve(padded, np.full(5, 0.2, np.float32), mode="valid")
    return smooth
