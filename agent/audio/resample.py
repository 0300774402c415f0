"""Change the sample rate of a stream with two milliseconds of delay. Pure.

soxr, the usual choice, works in blocks: measured on its low quality setting it holds back 20 ms of
a 48 kHz stream and 61 ms of an 8 kHz one, both ways, on every turn. Its "quick" setting holds
nothing back and does not filter either, so what lies above the new band folds into speech. A
windowed sinc of 40 zero crossings a side costs 2.5 ms at 16 kHz and has 80 dB of stop band.
"""

from functools import lru_cache
from math import gcd

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import Int16Array
from agent.errors import AudioFormatError

Float64Array = npt.NDArray[np.float64]

_ZERO_CROSSINGS = 40
"""Half the filter's length, in samples of the lower of both rates. It is the whole delay."""

_CUTOFF = 0.95
"""Middle of the transition, in parts of the lower Nyquist frequency: flat to 0.89 of it, and 80 dB
down from 1.01 of it on."""

_KAISER_BETA = 7.86
"""80 dB of stop band: 0.1102 * (80 - 8.7), Kaiser 1974."""

_COEFFICIENT_STEP = 2.0**-24

_MAX_PHASES = 1000
"""One row of coefficients per phase; every rate in use stays below (11025 to 16000 Hz has 640)."""

_HIGHEST_RATE = 768_000
"""In Hz, above any sound card's. The filter grows with the rate: a file whose header says two
gigahertz would take 20 GB."""

_FEW = 8
"""Phases that are summed one by one: 48, 24, 16 and 8 kHz have three at most among each other.
Measured, that takes a tenth of gathering the input for two seconds from 24 to 8 kHz (1.1 ms, not
19), and speech is resampled where packets must leave every 20 ms."""

_BLOCK = 4096
"""Output samples computed at once, to bound the memory that a long chunk takes."""


class StreamResampler:
    """Resample a mono stream, in chunks of any size, to the same samples whatever the chunks. Pure.

    Output sample k lies at time k / `to_rate`, so positions on a clock keep their meaning; it is
    given once the input reaches `delay` beyond it.

    Args:
        from_rate: Rate of what is pushed, in Hz.
        to_rate: Rate of what comes back, in Hz.

    Raises:
        AudioFormatError: A rate is not positive or is over 768 kHz, or both have hardly a common
            divisor.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        if from_rate <= 0 or to_rate <= 0:
            raise AudioFormatError(f"a sample rate must be positive: {from_rate} to {to_rate} Hz")
        if max(from_rate, to_rate) > _HIGHEST_RATE:
            raise AudioFormatError(
                f"{from_rate} to {to_rate} Hz: no sample rate is over {_HIGHEST_RATE}"
            )
        common = gcd(from_rate, to_rate)
        self._up, self._down = to_rate // common, from_rate // common
        if self._up > _MAX_PHASES:
            raise AudioFormatError(
                f"{from_rate} to {to_rate} Hz needs {self._up} filter phases, more than "
                f"{_MAX_PHASES}; send a usual rate, such as 8000, 16000, 24000, 44100 or 48000"
            )
        self._taps = _filter_bank(self._up, self._down)
        self._reach = self._taps.shape[1] // 2
        self._parts = _parts(self._up, self._down) if self._up <= _FEW else []
        self.clear()

    @property
    def delay(self) -> int:
        """How far the output stays behind the input, in samples of the input rate, at most."""
        return 0 if self._is_copy else self._reach

    def clear(self) -> None:
        """Start a new signal: what was pushed before has no effect on it."""
        # The signal before its first sample is taken as silence.
        self._held: Float64Array = np.zeros(self._reach - 1)
        self._held_start = 1 - self._reach
        self._pushed = 0
        self._given = 0

    def push(self, pcm: Int16Array) -> Int16Array:
        """Take the next samples, give those that they complete.

        Args:
            pcm: Mono samples, shape (n,), int16, at `from_rate`.

        Returns:
            Shape (m,), int16, at `to_rate`; may be empty.

        Raises:
            AudioFormatError: Wrong dtype, or more than one dimension.
        """
        if pcm.dtype != np.int16 or pcm.ndim != 1:
            raise AudioFormatError(f"expected mono int16, got {pcm.dtype} of shape {pcm.shape}")
        if self._is_copy:
            return pcm.copy()
        self._pushed += len(pcm)
        return self._advance(pcm.astype(np.float64), self._pushed - self._reach)

    def flush(self) -> Int16Array:
        """Give what is held back, as if silence followed, and start a new signal.

        Returns:
            Shape (m,), int16. All the chunks of a signal of n samples together have
            ceil(n * to_rate / from_rate) samples.
        """
        if self._is_copy:
            return np.zeros(0, np.int16)
        rest = self._advance(np.zeros(self._reach), self._pushed)
        self.clear()
        return rest

    @property
    def _is_copy(self) -> bool:
        return self._up == self._down

    def _advance(self, new: Float64Array, end: int) -> Int16Array:
        """Give every output sample that lies before input position `end`."""
        self._held = np.concatenate((self._held, new))
        stop = max(self._given, -(-end * self._up // self._down))
        blocks = [
            self._filtered(first, min(first + _BLOCK, stop))
            for first in range(self._given, stop, _BLOCK)
        ]
        self._given = stop
        first_needed = stop * self._down // self._up - self._reach + 1
        self._held = self._held[first_needed - self._held_start :].copy()
        self._held_start = first_needed
        if len(blocks) == 1:
            return blocks[0]
        return np.concatenate(blocks) if blocks else np.zeros(0, np.int16)

    def _filtered(self, first: int, stop: int) -> Int16Array:
        """Output samples `first` to `stop`."""
        # Coefficients are multiples of a power of two and the input is whole: every product and
        # every sum is exact in a float64, so the order of the sum, and with it the chunking, cannot
        # be heard.
        sums = self._by_phase(first, stop) if self._up <= _FEW else self._gathered(first, stop)
        # In place: this runs fifty times a second for each call.
        np.rint(sums, out=sums)
        np.maximum(sums, -32768.0, out=sums)
        np.minimum(sums, 32767.0, out=sums)
        pcm: Int16Array = sums.astype(np.int16)
        return pcm

    def _by_phase(self, first: int, stop: int) -> Float64Array:
        """Sums of one phase after the other, whose inputs lie evenly.

        Of each phase one tap in `down` meets one input in `down`: correlations without a gap.
        """
        if self._up == 1:
            return self._correlated(first, stop - first)
        sums: Float64Array = np.empty(stop - first)
        for nth in range(min(self._up, len(sums))):
            of_phase = sums[nth :: self._up]
            of_phase[:] = self._correlated(first + nth, len(of_phase))
        return sums

    def _correlated(self, first: int, count: int) -> Float64Array:
        """Output sample `first` and those of its phase behind it, `count` in all."""
        whole, phase = divmod(first * self._down, self._up)
        start = whole - self._reach + 1 - self._held_start
        parts = self._parts[phase]
        end = start + (count - 1) * self._down + 2 * self._reach
        sums: Float64Array = np.correlate(self._held[start : end : self._down], parts[0])
        for offset, taps in enumerate(parts[1:], 1):
            sums += np.correlate(self._held[start + offset : end : self._down], taps)
        return sums

    def _gathered(self, first: int, stop: int) -> Float64Array:
        """All sums at once."""
        position = np.arange(first, stop) * self._down
        starts = position // self._up - self._reach + 1 - self._held_start
        windows = np.lib.stride_tricks.sliding_window_view(self._held, 2 * self._reach)[starts]
        sums: Float64Array = np.einsum("ij,ij->i", windows, self._taps[position % self._up])
        return sums


def resample(pcm: Int16Array, from_rate: int, to_rate: int) -> Int16Array:
    """Resample a whole signal.

    Args:
        pcm: Mono samples, shape (n,), int16, at `from_rate`.
        from_rate: In Hz.
        to_rate: In Hz.

    Returns:
        Shape (ceil(n * to_rate / from_rate),), int16.

    Raises:
        AudioFormatError: See `StreamResampler`.
    """
    stream = StreamResampler(from_rate, to_rate)
    return np.concatenate([stream.push(pcm), stream.flush()])


@lru_cache(maxsize=32)
def _filter_bank(up: int, down: int) -> Float64Array:
    """Coefficients by phase and tap, shape (up, 2 * reach): a Kaiser-windowed sinc.

    Row p holds the filter for an output that lies p / up after an input sample, for the inputs from
    `reach` - 1 before that sample to `reach` after it. Values are multiples of `_COEFFICIENT_STEP`;
    a row sums up to 1, so silence with an offset keeps its offset.
    """
    # Rates relative to the input's: the filter lives at the lower of both.
    bandwidth = min(1.0, up / down)
    reach = int(np.ceil(_ZERO_CROSSINGS / bandwidth))
    tap = np.arange(2 * reach)
    distance = (reach - 1 - tap)[None, :] + np.arange(up)[:, None] / up
    inside = np.clip(1.0 - (distance / reach) ** 2, 0.0, None)
    window = np.i0(_KAISER_BETA * np.sqrt(inside)) / np.i0(_KAISER_BETA)
    ideal = np.sinc(distance * bandwidth * _CUTOFF) * window
    bank: Float64Array = ideal / ideal.sum(axis=1, keepdims=True)
    bank = np.rint(bank / _COEFFICIENT_STEP)
    # Rounding is repaired at the largest tap, where one unit matters least.
    peak = np.argmax(np.abs(bank), axis=1)
    bank[np.arange(up), peak] += 1 / _COEFFICIENT_STEP - bank.sum(axis=1)
    bank *= _COEFFICIENT_STEP
    bank.setflags(write=False)
    return bank


@lru_cache(maxsize=32)
def _parts(up: int, down: int) -> list[list[Float64Array]]:
    """By phase, the taps that meet one input in `down`, from the first, the second ... one on."""
    bank = _filter_bank(up, down)
    return [[row[nth::down].copy() for nth in range(down)] for row in bank]
