"""The utterance's audio, kept until its final exists, so that any side can hear it anew. Pure."""

import numpy as np

from agent.audio.chunk import Int16Array, samples

MOST_SAMPLES = samples(600.0)
"""Ten minutes, 19 MB: past this a second hearing is no longer possible."""

_GROWTH = samples(4.0)


class UtteranceAudio:
    """Grows by appending; any stretch of it can be read again. Pure.

    Attributes:
        is_truncated: Whether audio past `MOST_SAMPLES` was left out.
    """

    def __init__(self) -> None:
        self._pcm: Int16Array = np.zeros(_GROWTH, np.int16)
        self._length = 0
        self.is_truncated = False

    def __len__(self) -> int:
        return self._length

    def append(self, pcm: Int16Array) -> None:
        """Add samples, shape (n,), int16, 16 kHz."""
        end = self._length + len(pcm)
        if end > MOST_SAMPLES:
            self.is_truncated = True
            return
        if end > len(self._pcm):
            # Doubling keeps appending linear; readers hold copies, so moving is safe.
            grown: Int16Array = np.zeros(max(2 * len(self._pcm), end), np.int16)
            grown[: self._length] = self._pcm[: self._length]
            self._pcm = grown
        self._pcm[self._length : end] = pcm
        self._length = end

    def read(self, start: int, end: int) -> Int16Array:
        """Copy the samples from `start` to just before `end`, as far as they exist."""
        return self._pcm[start : min(end, self._length)].copy()
