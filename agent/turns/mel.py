"""Log-mel features as Whisper computes them, for Smart Turn. Pure.

The recipe (25 ms Hann window, 10 ms step, 80 Slaney mel bands, 8 decades of range) is that of
Radford et al. 2022, as the model was trained on; a test compares with Pipecat's own version.
"""

from functools import cache

import numpy as np
import numpy.typing as npt
from numpy.lib.stride_tricks import sliding_window_view

from agent.audio.chunk import SAMPLE_RATE, Float32Array

_WINDOW = 400
_STEP = 160
_BANDS = 80
_FLOOR = 1e-10
_RANGE_DECADES = 8.0
_BLOCK = 12
"""Steps whose product is too small to be shared among threads."""


def log_mel(signal: Float32Array) -> Float32Array:
    """Features of a whole window.

    Args:
        signal: Shape (n,), float32, 16 kHz.

    Returns:
        Shape (80, n // 160), float32, roughly in [-1, 1].
    """
    normalised = (signal - signal.mean()) / np.sqrt(signal.var() + 1e-7)
    padded = np.pad(normalised, _WINDOW // 2, mode="reflect")
    frames = sliding_window_view(padded, _WINDOW)[::_STEP][:-1]
    spectrum = np.fft.rfft(frames * _hann(), axis=-1)
    power = (spectrum.real**2 + spectrum.imag**2).astype(np.float32)
    # In small products: one large one numpy hands to several threads, and where other work keeps
    # the cores busy they spend ten times its own time waiting for each other.
    starts = range(0, len(power), _BLOCK)
    mel = np.concatenate([power[at : at + _BLOCK] @ _filters() for at in starts])
    log = np.log10(np.maximum(_FLOOR, mel))
    log = np.maximum(log, log.max() - _RANGE_DECADES)
    features: Float32Array = ((log + 4.0) / 4.0).T.astype(np.float32)
    return features


@cache
def _hann() -> Float32Array:
    return np.hanning(_WINDOW + 1)[:-1].astype(np.float32)


@cache
def _filters() -> Float32Array:
    """Triangles with unit area on Slaney's mel scale, shape (201, 80)."""
    bins = np.linspace(0, SAMPLE_RATE / 2, _WINDOW // 2 + 1)
    top = _to_mel(SAMPLE_RATE / 2)
    edges = _to_hertz(np.linspace(0.0, top, _BANDS + 2))
    rising = (bins[:, None] - edges[None, :-2]) / (edges[1:-1] - edges[:-2])
    falling = (edges[None, 2:] - bins[:, None]) / (edges[2:] - edges[1:-1])
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    filters: Float32Array = (triangles * (2.0 / (edges[2:] - edges[:-2]))).astype(np.float32)
    return filters


# Slaney's scale: linear to 1 kHz (15 mel), then 27 mel for each factor of 6.4.
_BREAK_HZ, _BREAK_MEL, _LOG_STEP = 1000.0, 15.0, np.log(6.4) / 27.0


def _to_mel(hertz: float) -> float:
    if hertz < _BREAK_HZ:
        return hertz * _BREAK_MEL / _BREAK_HZ
    return float(_BREAK_MEL + np.log(hertz / _BREAK_HZ) / _LOG_STEP)


def _to_hertz(mel: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    linear = mel * _BREAK_HZ / _BREAK_MEL
    return np.where(mel < _BREAK_MEL, linear, _BREAK_HZ * np.exp(_LOG_STEP * (mel - _BREAK_MEL)))
