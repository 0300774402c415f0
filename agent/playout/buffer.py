"""The agent's speech on its way out: ducked, paused, resumed and cut on a sample. Pure."""

from collections import deque

import numpy as np

from agent.audio.chunk import Float32Array, Int16Array

FADE_S = 0.02
"""Length of every fade. Under 10 ms one hears a click; over 30 ms one hears a word go on."""

_UNITY = 1.0


class PlayoutBuffer:
    """Speech of one response at a time, handed out in packets. Pure.

    Positions count samples of speech handed out since the session began, at `sample_rate`.
    Silence and fade tails do not count, so a pause resumes from the sample it stopped at.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.position = 0
        self._fade = round(FADE_S * sample_rate)
        self._pieces: deque[Int16Array] = deque()
        self._pending = 0
        self._closed = True
        self._paused = False
        self._tail_due = False
        self._gain = self._target_gain = _UNITY

    @property
    def pending(self) -> int:
        """Samples added and not yet handed out."""
        return self._pending

    @property
    def is_done(self) -> bool:
        """Whether the response is complete and all of it has been handed out."""
        return self._closed and not self._pending

    @property
    def is_paused(self) -> bool:
        """Whether speech is held back."""
        return self._paused

    def open(self) -> None:
        """Begin a response; more speech will come."""
        self._closed = False

    def add(self, pcm: Int16Array) -> int:
        """Append speech.

        Args:
            pcm: Shape (n,), int16, mono, at `sample_rate`.

        Returns:
            The position its first sample will have.
        """
        start = self.position + self._pending
        if len(pcm):
            self._pieces.append(pcm)
            self._pending += len(pcm)
        return start

    def close(self) -> None:
        """No more speech belongs to this response."""
        self._closed = True

    def take(self, size: int) -> Int16Array | None:
        """The next packet.

        Returns:
            Shape (size,), int16; the last packet of a response is filled up with silence.
            None when paused, or when nothing is ready.
        """
        if self._paused:
            return self._pause_tail(size)
        if not self._pending or (self._pending < size and not self._closed):
            return None
        packet = self._read(size)
        left = min(size, self._pending)
        self.position += left
        self._drop(left)
        return self._with_gain(packet)

    def duck(self, gain: float) -> None:
        """Move to `gain` (1.0 is as spoken) within one fade."""
        self._target_gain = gain

    def pause(self) -> None:
        """Fade out within the next packet, then hold back."""
        if not self._paused:
            self._paused = True
            self._tail_due = self._pending > 0

    def resume(self) -> None:
        """Go on from the sample the pause stopped at, fading in."""
        if self._paused:
            self._paused = False
            self._target_gain = _UNITY
            self._gain = 0.0

    def cut(self) -> Int16Array:
        """Drop the response.

        Returns:
            A tail of at most `FADE_S` that ends the speech without a click; empty when
            nothing was left or the speech was paused.
        """
        was_audible = not self._paused
        tail = self._read(min(self._fade, self._pending)) if was_audible else _silence(0)
        gain = self._gain
        self._pieces.clear()
        self._pending = 0
        self._closed = True
        self._paused = self._tail_due = False
        self._gain = self._target_gain = _UNITY
        return _scaled(tail, _ramp(gain, 0.0, len(tail)))

    def fade_out(self, pcm: Int16Array) -> Int16Array:
        """The first `FADE_S` of `pcm`, fading to silence: the tail of speech cut elsewhere."""
        tail = pcm[: self._fade]
        return _scaled(tail, _ramp(_UNITY, 0.0, len(tail)))

    def _pause_tail(self, size: int) -> Int16Array | None:
        if not self._tail_due:
            return None
        self._tail_due = False
        packet = self._read(size)
        fade = min(self._fade, size)
        gains = np.zeros(size, np.float32)
        gains[:fade] = _ramp(self._gain, 0.0, fade)
        return _scaled(packet, gains)

    def _with_gain(self, packet: Int16Array) -> Int16Array:
        if self._gain == self._target_gain == _UNITY:
            return packet
        gains = np.full(len(packet), self._target_gain, np.float32)
        fade = min(self._fade, len(packet))
        gains[:fade] = _ramp(self._gain, self._target_gain, fade)
        self._gain = self._target_gain
        return _scaled(packet, gains)

    def _read(self, size: int) -> Int16Array:
        packet = _silence(size)
        filled = 0
        for piece in self._pieces:
            part = piece[: size - filled]
            packet[filled : filled + len(part)] = part
            filled += len(part)
            if filled == size:
                break
        return packet

    def _drop(self, left: int) -> None:
        self._pending -= left
        while left:
            piece = self._pieces.popleft()
            if len(piece) > left:
                self._pieces.appendleft(piece[left:])
                return
            left -= len(piece)


def _silence(size: int) -> Int16Array:
    return np.zeros(size, np.int16)


def _ramp(start: float, stop: float, size: int) -> Float32Array:
    return np.linspace(start, stop, size, dtype=np.float32)


def _scaled(pcm: Int16Array, gains: Float32Array) -> Int16Array:
    scaled: Int16Array = np.rint(pcm * gains).astype(np.int16)
    return scaled
