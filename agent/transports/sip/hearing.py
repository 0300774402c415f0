"""What comes of the peer's packets: one unbroken stream of audio, and keys. Pure."""

import numpy as np

from agent.audio.chunk import Int16Array, samples
from agent.audio.conceal import GapFiller
from agent.audio.resample import StreamResampler
from agent.transports.jitter import OrderedPacket
from agent.transports.sip import comfort
from agent.transports.sip.coding import Coder
from agent.transports.sip.comfort import ComfortNoise
from agent.transports.sip.digits import DigitReceiver
from agent.transports.sip.sdp import Agreement

_RECOVERED_S = 0.06
"""A longer gap is concealed like any other: a guess of the codec's is no better then."""

_GRAIN_S = 0.0025
"""Opus makes up losses of multiples of it."""


class Hearing:
    """Packets in their order become audio and keys. Pure.

    Args:
        sample_rate: Of the audio, in Hz, whatever the codec.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._digits = DigitReceiver()
        self._agreement: Agreement | None = None
        self._coder: Coder | None = None
        self._filler = GapFiller(sample_rate)
        self._comfort = ComfortNoise()
        self._resampler: StreamResampler | None = None
        self._expected: int | None = None
        self._concealed_s = 0.0

    @property
    def concealed_s(self) -> float:
        """How much was made up."""
        rate = self._coder.sample_rate if self._coder else self._rate
        return self._concealed_s + self._filler.concealed / rate

    def agree(self, agreement: Agreement, coder: Coder) -> None:
        """Begin, or go on under other terms; another coder counts from its first packet."""
        if coder is not self._coder:
            self._concealed_s = self.concealed_s
            self._filler = GapFiller(coder.sample_rate)
            self._expected = None
            is_same = coder.sample_rate == self._rate
            self._resampler = None if is_same else StreamResampler(coder.sample_rate, self._rate)
        self._agreement, self._coder = agreement, coder

    def take(self, ordered: list[OrderedPacket]) -> list[Int16Array | str]:
        """What packets hold, oldest first: audio of the line's rate, shape (n,), or a key."""
        heard = [self._take(item) for item in ordered]
        return [item for item in heard if item is not None and len(item)]

    def wait(self, overdue_s: float) -> Int16Array:
        """Fill in while nothing comes.

        Args:
            overdue_s: How much audio should have come.
        """
        assert self._coder is not None
        count = samples(overdue_s, self._coder.sample_rate)
        missing = self._filler.wait(count)
        missing = self._with_noise(missing, len(missing))
        # Before the first packet there is nothing to continue.
        return self._resampled(missing if len(missing) else np.zeros(count, np.int16))

    def is_audio(self, item: OrderedPacket) -> bool:
        """Whether a packet is of the codec agreed on. Another type is a gap."""
        agreement = self._agreement
        assert agreement is not None
        return item.packet.payload_type == agreement.payload_type and agreement.may_receive

    def _take(self, item: OrderedPacket) -> Int16Array | str | None:
        agreement, packet = self._agreement, item.packet
        assert agreement is not None
        if packet.payload_type == agreement.event_type:
            return self._digits.push(packet.timestamp, packet.payload)
        if self.is_audio(item):
            return self._resampled(self._placed(item))
        if packet.payload_type == comfort.PAYLOAD_TYPE:
            self._comfort.describe(packet.payload)
        return None

    def _placed(self, item: OrderedPacket) -> Int16Array:
        """A packet's audio, and before it what was missing.

        Keys and noise are no sound: while they come, the time is filled in.
        """
        coder = self._coder
        assert coder is not None
        position = item.timestamp * coder.sample_rate // coder.clock_rate
        recovered = self._recovered(item, position)
        pcm = coder.decode(item.packet.payload)
        placed = self._filler.push(position, pcm)
        placed = self._with_noise(placed, max(0, len(placed) - len(pcm)))
        self._comfort.heard()
        self._expected = position + len(pcm)
        return np.concatenate([recovered, placed]) if len(recovered) else placed

    def _recovered(self, item: OrderedPacket, position: int) -> Int16Array:
        coder = self._coder
        assert coder is not None
        gap = position - (position if self._expected is None else self._expected)
        grain, most = (samples(s, coder.sample_rate) for s in (_GRAIN_S, _RECOVERED_S))
        if not item.lost_before or not 0 < gap <= most or gap % grain:
            return np.zeros(0, np.int16)
        made_up = coder.recover(item.packet.payload, gap)
        return self._filler.push(position - gap, made_up) if len(made_up) else made_up

    def _with_noise(self, pcm: Int16Array, missing: int) -> Int16Array:
        """Put noise where nothing was sent on purpose: in the first `missing` samples."""
        if missing and self._comfort.is_on:
            pcm = pcm.copy()
            pcm[:missing] = self._comfort.make(missing)
        return pcm

    def _resampled(self, pcm: Int16Array) -> Int16Array:
        return self._resampler.push(pcm) if self._resampler else pcm
