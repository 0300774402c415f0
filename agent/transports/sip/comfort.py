"""Comfort noise (RFC 3389): what a telephone that suppresses silence says of it. Pure."""

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import Int16Array

PAYLOAD_TYPE = 13
"""At 8 kHz, without being said."""

_LARGEST_ORDER = 12
_STABLE = 0.98
"""Reflection coefficients beyond this would ring."""

_FULL_SCALE_RMS = 32768 / np.sqrt(2)

_BLOCK = 32
"""Samples that one matrix colours at once: sample by sample, a quiet call would cost as much as
recognising it."""

_Floats = npt.NDArray[np.float64]


class ComfortNoise:
    """Noise as loud and as coloured as the other side's room. Pure.

    Args:
        seed: Of the noise.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._rms = 0.0
        self._colour = np.eye(_BLOCK)
        self._ringing = np.zeros((_BLOCK, 0))
        self._past = np.zeros(0)
        self.is_on = False
        """Whether the other side is silent on purpose."""

    def describe(self, payload: bytes) -> None:
        """Take a packet: a level in -dBov, then reflection coefficients; nonsense is no noise."""
        self.is_on = True
        level = payload[0] & 0x7F if payload else 127
        self._rms = 0.0 if level == 127 else _FULL_SCALE_RMS * 10 ** (-level / 20)
        reflections = [(value - 127) / 128 for value in payload[1 : 1 + _LARGEST_ORDER]]
        self._colour, self._ringing = _in_blocks(_direct(reflections))
        self._past = np.zeros(len(reflections))
        # So that the colour does not change the level.
        gain = np.prod([1 - min(_STABLE, abs(k)) ** 2 for k in reflections])
        self._rms *= float(np.sqrt(gain))

    def heard(self) -> None:
        """The other side speaks again."""
        self.is_on = False

    def make(self, count: int) -> Int16Array:
        """The next samples, shape (count,), 8 kHz; silence while the other side is not silent."""
        if not self.is_on or not self._rms:
            return np.zeros(count, np.int16)
        noise = self._random.normal(0.0, self._rms, count)
        for start in range(0, count if len(self._past) else 0, _BLOCK):
            block = noise[start : start + _BLOCK]
            size = len(block)
            block[:] = self._colour[:size, :size] @ block + self._ringing[:size] @ self._past
            self._past = np.concatenate([block[::-1], self._past])[: len(self._past)]
        pcm: Int16Array = noise.clip(-32768, 32767).astype(np.int16)
        return pcm


def _direct(reflections: list[float]) -> _Floats:
    """Coefficients of the synthesis filter, by the step-up recursion."""
    a = np.zeros(0)
    for reflection in reflections:
        k = max(-_STABLE, min(_STABLE, reflection))
        a = np.concatenate([a + k * a[::-1], [k]])
    return a


def _in_blocks(a: _Floats) -> tuple[_Floats, _Floats]:
    """The filter y[i] = x[i] - sum of a[j] y[i-1-j], for a block at once.

    Returns:
        What the block's own input adds to its output, shape (block, block), and what the outputs
        before it add, newest first, shape (block, order).
    """
    order = len(a)
    # Each output as a sum over the block's inputs and the outputs before: the recursion, unrolled.
    # The first rows are those outputs before, oldest first.
    rows = np.zeros((order + _BLOCK, _BLOCK + order))
    rows[np.arange(order), _BLOCK + order - 1 - np.arange(order)] = 1.0
    for i in range(_BLOCK):
        rows[order + i] = -(a[::-1] @ rows[i : order + i])
        rows[order + i, i] += 1.0
    response = rows[order:]
    return response[:, :_BLOCK], response[:, _BLOCK:]
