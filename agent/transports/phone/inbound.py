"""The caller's packets become one unbroken stream. Pure.

Over a WebSocket packets are rarely lost and, by some providers' own word, not always in order; a
provider may drop what it could not send in time. Missing packets are concealed, so that the media
clock keeps the caller's time.
"""

import numpy as np

from agent.audio.chunk import Int16Array, samples
from agent.audio.conceal import GapFiller
from agent.transports.jitter import AudioPacket, JitterBuffer, JitterStats, OrderedPacket

_LARGEST_LEAD_S = 5.0
"""More audio than time has passed by so much is no caller's voice: it would fill the memory."""


class InboundAudio:
    """Order, complete and bound what comes in. Pure.

    Args:
        sample_rate: Of the audio, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._jitter = JitterBuffer()
        self._gaps = GapFiller(sample_rate)
        self._position = 0
        self._arrived = 0
        self._counted = 0
        self._first_s: float | None = None
        self.flooded = 0
        """Packets dropped because more audio came than time passed."""

    @property
    def stats(self) -> JitterStats:
        """What became of the packets so far."""
        return self._jitter.stats

    @property
    def concealed(self) -> int:
        """Samples made up so far."""
        return self._gaps.concealed

    def push(self, sequence: int | None, pcm: Int16Array, now_s: float) -> Int16Array:
        """Take a packet.

        Args:
            sequence: Its number, or None where the stream does not count.
            pcm: Mono samples, shape (n,), int16.
            now_s: When it came.

        Returns:
            What comes next in the stream; nothing while an earlier packet is waited for.
        """
        if self._first_s is None:
            self._first_s = now_s
        allowed_s = now_s - self._first_s + _LARGEST_LEAD_S
        if self._arrived + len(pcm) > samples(allowed_s, self._rate):
            self.flooded += 1
            return np.zeros(0, np.int16)
        self._arrived += len(pcm)
        if sequence is None:
            sequence, self._counted = self._counted, self._counted + 1
        packet = AudioPacket(0, sequence % (1 << 16), 0, 0, pcm.tobytes())
        return self._place(self._jitter.push(packet))

    def overdue(self, count: int) -> Int16Array:
        """Fill in `count` samples while nothing comes; first what was held back, if anything."""
        held = self._place(self._jitter.flush())
        return np.concatenate([held, self._gaps.wait(max(0, count - len(held)))])

    def _place(self, ordered: list[OrderedPacket]) -> Int16Array:
        pieces = []
        for item in ordered:
            pcm = np.frombuffer(item.packet.payload, np.int16)
            self._position += item.lost_before * len(pcm)
            pieces.append(self._gaps.push(self._position, pcm))
            self._position += len(pcm)
        return np.concatenate(pieces) if pieces else np.zeros(0, np.int16)
