"""What the loudspeaker plays, on the microphone's clock."""

from collections.abc import Callable

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.audio.echo import Reference
from agent.audio.resample import StreamResampler


class FarEnd:
    """Our own voice, where its echo may be looked for.

    Packets leave a little ahead of their sounding and in bursts, so they are laid end to end from
    the moment the first of them left. What is left of the delay is found by those who listen.
    """

    def __init__(self, sample_rate: int) -> None:
        """Begin silent.

        Args:
            sample_rate: Of the packets, in Hz.
        """
        self._reference = Reference()
        self._rate = sample_rate
        self._resampler = self._new_resampler()
        self._end = 0
        self.clock: Callable[[], int] = lambda: 0
        """The microphone's clock, in samples at 16 kHz."""

    def play(self, packet: Int16Array) -> None:
        """`packet` (shape (n,), int16) has left for the loudspeaker."""
        now = self.clock()
        if self._end < now:
            self._end = now
            self._resampler = self._new_resampler()
        pcm = self._resampler.push(packet) if self._resampler else packet
        self._reference.play(pcm, self._end)
        self._end += len(pcm)

    def cut(self) -> None:
        """What has not sounded yet never will."""
        now = self.clock()
        self._reference.cut(now)
        self._end = now

    def read(self, start_sample: int, count: int) -> Int16Array:
        """What plays in [start_sample, start_sample + count): shape (count,), int16, 16 kHz."""
        return self._reference.read(start_sample, count)

    def _new_resampler(self) -> StreamResampler | None:
        return None if self._rate == SAMPLE_RATE else StreamResampler(self._rate, SAMPLE_RATE)
