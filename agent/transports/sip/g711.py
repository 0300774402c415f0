"""G.711, the telephone's own codec: 16-bit samples as one byte each. Pure.

Decoding is ITU-T G.711 by table; encoding looks a sample up among all 65536.
"""

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import Int16Array

SAMPLE_RATE = 8_000

_UInt8Array = npt.NDArray[np.uint8]

_MU_BIAS = 0x84
_MU_LARGEST = 32_635


class G711:
    """One of the two laws. Pure.

    Attributes:
        name: As in a session description: PCMU or PCMA.
        silence: The byte that decodes to the quietest positive level.
    """

    def __init__(self, name: str, levels: Int16Array, codes: _UInt8Array) -> None:
        self.name = name
        self._levels = levels
        self._codes = codes
        self.silence = self.encode(np.zeros(1, np.int16))

    def decode(self, payload: bytes) -> Int16Array:
        """Turn bytes, one per sample, into shape (n,), int16, 8 kHz."""
        pcm: Int16Array = self._levels[np.frombuffer(payload, np.uint8)]
        return pcm

    def encode(self, pcm: Int16Array) -> bytes:
        """Turn samples, shape (n,), int16, 8 kHz, into as many bytes."""
        return self._codes[pcm.view(np.uint16)].tobytes()


def _mu_levels() -> Int16Array:
    code = ~np.arange(256, dtype=np.uint8)
    exponent = ((code >> 4) & 7).astype(np.int32)
    magnitude = ((((code & 15).astype(np.int32) << 3) + _MU_BIAS) << exponent) - _MU_BIAS
    return np.where(code & 0x80, -magnitude, magnitude).astype(np.int16)


def _mu_codes(pcm: npt.NDArray[np.int32]) -> _UInt8Array:
    sign = np.where(pcm < 0, 0x80, 0)
    biased = np.minimum(np.abs(pcm), _MU_LARGEST) + _MU_BIAS
    exponent = _top_bit(biased) - 7
    mantissa = (biased >> (exponent + 3)) & 15
    codes: _UInt8Array = (~(sign | (exponent << 4) | mantissa) & 0xFF).astype(np.uint8)
    return codes


def _a_levels() -> Int16Array:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent = ((code >> 4) & 7).astype(np.int32)
    mantissa = ((code & 15).astype(np.int32) << 4) + 8
    magnitude = np.where(exponent, (mantissa + 0x100) << np.maximum(exponent - 1, 0), mantissa)
    return np.where(code & 0x80, magnitude, -magnitude).astype(np.int16)


def _a_codes(pcm: npt.NDArray[np.int32]) -> _UInt8Array:
    sign = np.where(pcm < 0, 0, 0x80)
    # One's complement, as the law has no zero: -1 lies beside 0 on the other side of it.
    magnitude = np.where(pcm < 0, ~pcm, pcm)
    exponent = np.maximum(_top_bit(magnitude | 1) - 7, 0)
    mantissa = (magnitude >> np.where(exponent, exponent + 3, 4)) & 15
    codes: _UInt8Array = ((sign | (exponent << 4) | mantissa) ^ 0x55).astype(np.uint8)
    return codes


def _top_bit(values: npt.NDArray[np.int32]) -> npt.NDArray[np.int32]:
    return (np.frexp(values.astype(np.float64))[1] - 1).astype(np.int32)


_EVERY_SAMPLE = np.arange(1 << 16, dtype=np.uint16).view(np.int16).astype(np.int32)

PCMU = G711("PCMU", _mu_levels(), _mu_codes(_EVERY_SAMPLE))
PCMA = G711("PCMA", _a_levels(), _a_codes(_EVERY_SAMPLE))
