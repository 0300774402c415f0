"""PCM and where it stands on the media clock. Pure."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt

from agent.errors import AudioFormatError

Int16Array = npt.NDArray[np.int16]
Float32Array = npt.NDArray[np.float32]

SAMPLE_RATE = 16_000
"""Rate of the session's media clock in Hz: every sample position counts at this rate."""


@dataclass(frozen=True, slots=True)
class PcmChunk:
    """A stretch of the user's audio.

    Attributes:
        pcm: Mono samples, shape (n,), int16, at `SAMPLE_RATE`.
        start_sample: Position of ``pcm[0]`` on the session's media clock.
    """

    pcm: Int16Array
    start_sample: int

    @property
    def end_sample(self) -> int:
        """Position just after the last sample."""
        return self.start_sample + len(self.pcm)


def seconds(samples: int, sample_rate: int = SAMPLE_RATE) -> float:
    """Length of `samples` in seconds."""
    return samples / sample_rate


def samples(duration_s: float, sample_rate: int = SAMPLE_RATE) -> int:
    """Number of whole samples nearest to `duration_s`."""
    return round(duration_s * sample_rate)


def to_float(pcm: Int16Array) -> Float32Array:
    """Scale integer PCM into [-1, 1).

    Args:
        pcm: Mono samples, shape (n,), int16, any sample rate.

    Returns:
        Shape (n,), float32; divided by 32768, so full-scale negative is -1.

    Raises:
        AudioFormatError: Wrong dtype, or more than one dimension.
    """
    _require(pcm, np.dtype(np.int16))
    return pcm.astype(np.float32) / np.float32(32768.0)


def to_int16(signal: Float32Array) -> Int16Array:
    """Scale [-1, 1] to integer PCM; what lies outside is clipped, NaN becomes silence.

    Args:
        signal: Mono samples, shape (n,), float32, any sample rate.

    Returns:
        Shape (n,), int16.

    Raises:
        AudioFormatError: Wrong dtype, or more than one dimension.
    """
    _require(signal, np.dtype(np.float32))
    finite = np.nan_to_num(signal, nan=0.0, posinf=1.0, neginf=-1.0)
    pcm: Int16Array = np.clip(np.rint(finite * 32768.0), -32768, 32767).astype(np.int16)
    return pcm


def _require(pcm: npt.NDArray[Any], dtype: np.dtype[Any]) -> None:
    if pcm.dtype != dtype or pcm.ndim != 1:
        raise AudioFormatError(
            f"expected mono {dtype} samples of shape (n,), got {pcm.dtype} of shape {pcm.shape}"
        )
