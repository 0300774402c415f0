"""Which windows of a clause to decode, and how to join what they give. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agent.audio.chunk import Float32Array

CONTEXT = 4
"""Steps decoded on both sides of a window and thrown away: with 4 a window is as close to the
whole clause (10 dB, the noise of 8-bit arithmetic) as with 8; with 0 its edges are not."""

_FIRST = 20
_GROWTH = 1.5
_LONGEST = 80
_SHORTEST_LAST = 10


@dataclass(frozen=True, slots=True)
class Window:
    """A stretch of a clause, in steps.

    Attributes:
        start: First step to be heard.
        end: Just after the last.
        run_start: First step to be decoded.
        run_end: Just after the last.
    """

    start: int
    end: int
    run_start: int
    run_end: int


def plan_windows(start: int, end: int, limit: int) -> Iterator[Window]:
    """Cut steps from `start` to `end` into windows, the first short, each next half as long again.

    The first decides when the caller hears something and is the same for every clause. A voice
    that speaks at twice real time has the next one ready before the last has been heard.

    Args:
        start: First step to be heard.
        end: Just after the last to be heard.
        limit: Steps there are; those after `end` serve as context.
    """
    length = float(_FIRST)
    at = start
    while at < end:
        until = min(end, at + round(length))
        if end - until < _SHORTEST_LAST:
            until = end
        yield Window(at, until, max(0, at - CONTEXT), min(limit, until + CONTEXT))
        at = until
        length = min(length * _GROWTH, _LONGEST)


class Joiner:
    """Crossfades windows into one signal: one step of each runs under the beginning of the next."""

    def __init__(self, samples_per_step: int) -> None:
        self._step = samples_per_step
        self._tail: Float32Array = np.zeros(0, np.float32)
        fade = np.linspace(0.0, 1.0, samples_per_step, endpoint=False, dtype=np.float32)
        self._rising = fade

    def push(self, window: Window, decoded: Float32Array) -> Float32Array:
        """Append a decoded window.

        Args:
            window: As planned.
            decoded: Samples of steps `run_start` to `run_end`.

        Returns:
            The samples of steps `start` to `end`.
        """
        begin = (window.start - window.run_start) * self._step
        end = (window.end - window.run_start) * self._step
        heard = decoded[begin:end].copy()
        overlap = min(len(self._tail), len(heard))
        rising = self._rising[:overlap]
        heard[:overlap] = self._tail[:overlap] * (1 - rising) + heard[:overlap] * rising
        self._tail = decoded[end : end + self._step]
        return heard
