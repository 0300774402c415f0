"""Comfort noise (RFC 3389): what a telephone that suppresses silence says of it. Pure."""

import numpy as np

from agent.audio.chunk import Int16Array

PAYLOAD_TYPE = 13
"""At 8 kHz, without being said."""

_LARGEST_ORDER = 12
_STABLE = 0.98
"""Reflection coefficients beyond this would ring."""

_FULL_SCALE_RMS = 32768 / np.sqrt(2)


class ComfortNoise:
    """Noise as loud and as coloured as the other side's room. Pure.

    Args:
        seed: Of the noise.
    """

    def __init__(self, seed: int = 0) -> None:
        self._random = np.random.default_rng(seed)
        self._rms = 0.0
        self._filter = np.zeros(0)
        self._past = np.zeros(0)
        self.is_on = False
        """Whether the other side is silent on purpose."""

    def describe(self, payload: bytes) -> None:
        """Take a packet: a level in -dBov, then reflection coefficients; nonsense is no noise."""
        self.is_on = True
        level = payload[0] & 0x7F if payload else 127
        self._rms = 0.0 if level == 127 else _FULL_SCALE_RMS * 10 ** (-level / 20)
        reflections = [(value - 127) / 128 for value in payload[1 : 1 + _LARGEST_ORDER]]
        self._filter = _direct(reflections)
        self._past = np.zeros(len(self._filter))
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
        for i in range(count if len(self._filter) else 0):
            noise[i] -= self._filter @ self._past
            self._past = np.concatenate([noise[i : i + 1], self._past[:-1]])
        pcm: Int16Array = noise.clip(-32768, 32767).astype(np.int16)
        return pcm


def _direct(reflections: list[float]) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    """Coefficients of the synthesis filter, by the step-up recursion."""
    a = np.zeros(0)
    for reflection in reflections:
        k = max(-_STABLE, min(_STABLE, reflection))
        a = np.concatenate([a + k * a[::-1], [k]])
    return a
