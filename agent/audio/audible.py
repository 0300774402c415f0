"""Where sound that can be heard begins and ends. Pure.

A speech detector works in hops and takes a while to let go: what it calls the end of speech comes
0 to 100 ms behind the last sound. Who says how long somebody waited wants the sound itself.
"""

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import SAMPLE_RATE, Int16Array, PcmChunk, samples

_FRAME_S = 0.005

_BELOW_LOUDEST_DB = 38.0
"""Under the loudest frame lie breath and the room."""

_ABOVE_FLOOR_DB = 8.0
"""Over the quietest tenth of the frames; a steady noise reaches 5 dB."""

_AUDIBLE_DBFS = -50.0
"""Of our own voice, which is near -25 dBFS and has no noise under it."""

_REACH_S = 0.3
"""How far from the detector's end the sound's own may lie."""


def end_of_sound(heard: PcmChunk, detected: int) -> int:
    """Where the sound that a detector has called over died away, on the media clock.

    Args:
        heard: The audio about it: a second or more before, and what came behind it.
        detected: The detector's end. It is the answer where noise covers the sound's own.
    """
    frame = samples(_FRAME_S)
    levels = _levels_db(heard.pcm, frame)
    if not len(levels):
        return detected
    last = (detected - heard.start_sample) // frame
    loudest = levels[: last + 1].max(initial=-np.inf)
    limit = max(loudest - _BELOW_LOUDEST_DB, np.quantile(levels, 0.1) + _ABOVE_FLOOR_DB)
    first = max(0, last - round(_REACH_S / _FRAME_S))
    loud = np.flatnonzero(levels[first : last + 1] >= limit)
    if limit > loudest or not len(loud):
        return detected
    return heard.start_sample + (first + int(loud[-1]) + 1) * frame


def onset_s(pcm: Int16Array, sample_rate: int = SAMPLE_RATE) -> float | None:
    """Seconds before the first sound of our own voice that can be heard; None where none can.

    Args:
        pcm: Mono samples, shape (n,), int16.
        sample_rate: Of `pcm`, in Hz.
    """
    loud = np.flatnonzero(_levels_db(pcm, samples(_FRAME_S, sample_rate)) >= _AUDIBLE_DBFS)
    return int(loud[0]) * _FRAME_S if len(loud) else None


def _levels_db(pcm: Int16Array, frame: int) -> npt.NDArray[np.float64]:
    """RMS of each whole frame in dB of full scale."""
    whole = pcm[: len(pcm) // frame * frame].astype(np.float64).reshape(-1, frame) / 32768
    return np.asarray(10 * np.log10(np.mean(whole**2, axis=1) + 1e-10))
