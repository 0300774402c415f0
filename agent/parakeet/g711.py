"""Telephone audio, ITU-T G.711, to PCM. Pure."""

import numpy as np

from agent.audio.chunk import Int16Array


def decode(data: bytes, kind: str) -> Int16Array:
    """Decode mu-law or A-law.

    Args:
        data: One byte for each sample, 8 kHz.
        kind: ``audio/pcmu`` (mu-law) or ``audio/pcma`` (A-law).

    Returns:
        Shape (n,), int16, 8 kHz.
    """
    table = _ulaw_table() if kind == "audio/pcmu" else _alaw_table()
    pcm: Int16Array = table[np.frombuffer(data, np.uint8)]
    return pcm


def _ulaw_table() -> Int16Array:
    code = ~np.arange(256, dtype=np.uint8)
    exponent, mantissa = (code >> 4) & 7, code & 15
    size = (((mantissa.astype(np.int32) << 3) + 0x84) << exponent) - 0x84
    return np.where(code & 0x80, -size, size).astype(np.int16)


def _alaw_table() -> Int16Array:
    code = np.arange(256, dtype=np.uint8) ^ 0x55
    exponent, mantissa = ((code >> 4) & 7).astype(np.int32), (code & 15).astype(np.int32)
    size = (mantissa << 4) + np.where(exponent > 0, 0x108, 8)
    size = size << np.maximum(exponent - 1, 0)
    return np.where(code & 0x80, size, -size).astype(np.int16)
