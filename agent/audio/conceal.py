"""Stand in for audio that never arrived, so that the media clock keeps its pace. Pure.

A vowel goes on for much longer than a packet, so its last pitch period, repeated, is the best
guess of what was lost (ITU-T G.711 Appendix I). The guess loses its worth within three packets: it
fades and leaves silence.
"""

import numpy as np

from agent.audio.chunk import Float32Array, Int16Array, samples

_LONGEST_PERIOD_S = 0.015
_SHORTEST_PERIOD_S = 0.0025
"""Pitch from 66 to 400 Hz, as in G.711 Appendix I."""

_TEMPLATE_S = 0.02
"""How much of the last audio is compared with what came before it."""

_VOICED = 0.5
"""Correlation from which a period is believed. Below, the longest one is repeated: a short one
would turn noise into a buzz."""

_FULL_S = 0.01
_FADED_S = 0.06
"""The stand-in keeps its level for the first and is silent after the second."""

_BLEND_S = 0.005
"""Overlap of stand-in and returning audio."""

_JOIN_S = 0.002
"""Time over which a difference of level at the seam is taken away."""

_SEARCH_RATE = 8000
"""Rate in Hz at which the pitch is looked for."""


class Concealer:
    """Continue a signal beyond its end, and lead back into it. Pure.

    Args:
        sample_rate: In Hz, of all that comes and goes.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._longest = samples(_LONGEST_PERIOD_S, sample_rate)
        kept = 2 * self._longest + samples(_TEMPLATE_S, sample_rate)
        self._history: Float32Array = np.zeros(kept, np.float32)
        self._cycle: Float32Array = np.zeros(1, np.float32)
        self._seam = 0.0
        self._concealed = 0

    def push(self, pcm: Int16Array) -> Int16Array:
        """Take audio that did arrive.

        Args:
            pcm: Mono samples, shape (n,), int16.

        Returns:
            The same; after a gap its first 5 ms are blended with the stand-in.
        """
        if self._concealed and len(pcm):
            overlap = min(samples(_BLEND_S, self._rate), len(pcm))
            weight = (np.arange(1, overlap + 1) / (overlap + 1)).astype(np.float32)
            old = self._continue(overlap)
            blended = old * (1 - weight) + pcm[:overlap].astype(np.float32) * weight
            pcm = np.concatenate([_to_int16(blended), pcm[overlap:]])
            self._concealed = 0
        self._remember(pcm)
        return pcm

    def conceal(self, count: int) -> Int16Array:
        """Continue the signal.

        Args:
            count: Samples missing. Calls in a row make one longer gap.

        Returns:
            Shape (count,), int16: fading from 10 ms on, silent after 60 ms.
        """
        if not self._concealed:
            self._begin()
        missing = _to_int16(self._continue(count))
        self._concealed += count
        self._remember(missing)
        return missing

    def _begin(self) -> None:
        """Make one period whose end leads into its beginning."""
        period = self._period()
        history = self._history
        cycle = history[-period:].copy()
        join = period // 4
        weight = np.arange(1, join + 1, dtype=np.float32) / join
        before = history[-period - join : -period]
        cycle[-join:] = cycle[-join:] * (1 - weight) + before * weight
        self._cycle = cycle
        # The first sample follows the last one heard with the step it had a period ago.
        self._seam = float(history[-1] - history[-period - 1])

    def _continue(self, count: int) -> Float32Array:
        """Give the next `count` samples of the stand-in, float32 in int16's range."""
        at = self._concealed + np.arange(count)
        full, faded = samples(_FULL_S, self._rate), samples(_FADED_S, self._rate)
        gain = np.clip((faded - at) / (faded - full), 0.0, 1.0)
        seam = self._seam * np.clip(1.0 - at / samples(_JOIN_S, self._rate), 0.0, None)
        guess: Float32Array = (self._cycle[at % len(self._cycle)] * gain + seam).astype(np.float32)
        return guess

    def _remember(self, pcm: Int16Array) -> None:
        kept = len(self._history)
        recent = np.concatenate([self._history, pcm[-kept:].astype(np.float32)])
        self._history = recent[-kept:]

    def _period(self) -> int:
        """Length in samples after which the last audio looks most like itself."""
        step = max(1, self._rate // _SEARCH_RATE)
        usable = len(self._history) // step * step
        coarse = self._history[-usable:].reshape(-1, step).mean(axis=1)
        first = samples(_SHORTEST_PERIOD_S, self._rate) // step
        likeness = _likeness(coarse, samples(_TEMPLATE_S, self._rate) // step)
        last = min(self._longest // step, len(likeness) - 1)
        best = first + int(np.argmax(likeness[first : last + 1]))
        if likeness[best] < _VOICED:
            return self._longest
        fine = _likeness(self._history, samples(_BLEND_S, self._rate))
        nearest = max(1, (best - 1) * step)
        return nearest + int(np.argmax(fine[nearest : (best + 1) * step + 1]))


_LATE_S = 1.0
"""A sender whose packets fall behind by more was not delayed: its clock stood still meanwhile."""

_PAUSE_S = 1.0
"""Quiet from which on time may be cut. In its first second somebody waits for it to be a turn's
end."""

_QUIET_RMS = 100.0
"""50 dB below full scale."""


class GapFiller:
    """Make one unbroken stream out of audio with positions. Pure.

    Packets say at which sample of the sender's clock they belong. What is missing between two of
    them is concealed, so the number of samples given follows that clock.

    Args:
        sample_rate: In Hz; positions count at this rate.
        longest_fill_s: A larger jump of the positions is a new stream, not a gap: nothing is
            filled, or a hostile position would decide how much memory is used.
    """

    def __init__(self, sample_rate: int, longest_fill_s: float = 2.0) -> None:
        self._concealer = Concealer(sample_rate)
        self._longest_fill = samples(longest_fill_s, sample_rate)
        self._next: int | None = None
        self._longest_late = samples(_LATE_S, sample_rate)
        self._win_back_after = samples(_PAUSE_S, sample_rate)
        self._waited = 0
        self._ahead = 0
        self._quiet = 0
        self.concealed = 0
        """Samples made up so far."""
        self.restarts = 0
        """Jumps taken as a new stream."""

    def push(self, position: int, pcm: Int16Array) -> Int16Array:
        """Place audio.

        Args:
            position: Of the first sample, on the sender's clock.
            pcm: Mono samples, shape (n,), int16.

        Returns:
            What comes next in the unbroken stream: the gap before, if any, and the audio. Less of
            it in a pause that is cut to win back time, see `wait`.
        """
        if self._next is None:
            self._next = position
        gap = position - self._next
        if 0 < -gap <= self._waited <= self._longest_late:
            return self._late(-gap, pcm)
        if gap and not 0 < gap <= self._longest_fill:
            self.restarts += 1
            gap = 0
        self._next = position + len(pcm)
        self._waited = 0
        missing = self._conceal(gap)
        given = self._concealer.push(self._win_back(pcm))
        return np.concatenate([missing, given]) if len(missing) else given

    def wait(self, count: int) -> Int16Array:
        """Fill in while nothing arrives, so that those who wait for silence get it.

        A sender may stop when its user is silent or muted. If instead the packets were only
        delayed, by a second at most, they are still given when they come, and the time is won back
        in a long pause.

        Args:
            count: Samples that are overdue.

        Returns:
            Shape (count,), int16; empty before the first audio.
        """
        if self._next is None:
            return np.zeros(0, np.int16)
        self._next += count
        self._waited += count
        return self._conceal(count)

    def _conceal(self, count: int) -> Int16Array:
        if count == 0:
            return np.zeros(0, np.int16)
        self.concealed += count
        return self._concealer.conceal(count)

    def _win_back(self, pcm: Int16Array) -> Int16Array:
        """Shorten a long pause while the stream is ahead of the sender's clock."""
        self._quiet = self._quiet + len(pcm) if _is_quiet(pcm) else 0
        if self._quiet <= self._win_back_after:
            return pcm
        cut = min(self._ahead, len(pcm))
        self._ahead -= cut
        return pcm[cut:]

    def _late(self, late: int, pcm: Int16Array) -> Int16Array:
        """Audio for a time that was filled in already: worth more than a straight clock."""
        repeated = min(late, len(pcm))
        self._ahead += repeated
        self._waited -= repeated
        assert self._next is not None
        self._next += len(pcm) - repeated
        return self._concealer.push(pcm)


def _is_quiet(pcm: Int16Array) -> bool:
    # A product with itself costs a third of a mean of squares, fifty times a second and call.
    signal = pcm.astype(np.float32)
    return len(pcm) > 0 and float(signal @ signal) < _QUIET_RMS**2 * len(pcm)


def _likeness(signal: Float32Array, template: int) -> Float32Array:
    """Normalised correlation of the signal's end with itself, by lag in samples from 0 on."""
    end = signal[-template:]
    windows = np.lib.stride_tricks.sliding_window_view(signal, template)[::-1]
    energy = np.einsum("ij,ij->i", windows, windows) * np.dot(end, end)
    correlation: Float32Array = windows @ end / np.sqrt(np.maximum(energy, 1.0))
    return correlation


def _to_int16(signal: Float32Array) -> Int16Array:
    pcm: Int16Array = np.clip(np.rint(signal), -32768, 32767).astype(np.int16)
    return pcm
