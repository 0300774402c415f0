"""The two codecs of a call behind one face: samples in packets, packets in samples."""

from typing import Protocol

import numpy as np

from agent.audio.chunk import Int16Array
from agent.audio.resample import StreamResampler
from agent.transports.pacing import PACKET_S
from agent.transports.sip import g711
from agent.transports.sip.codecs import G711, OPUS
from agent.transports.sip.opus import Opus, library
from agent.transports.sip.sdp import Agreement

OPUS_RATE = 16_000
"""What is above 8 kHz no recogniser of ours hears."""

_LAWS = {law.name: law for law in (g711.PCMU, g711.PCMA)}


def usable() -> tuple[str, ...]:
    """Codecs we have here, best first."""
    return (OPUS, *G711) if library() else G711


def line_rate(agreement: Agreement) -> int:
    """Rate in Hz of a call that begins under these terms; a change of codec does not change it."""
    return OPUS_RATE if agreement.codec == OPUS else g711.SAMPLE_RATE


class Coder(Protocol):
    """Both directions of one call.

    Attributes:
        sample_rate: Of the samples, in Hz.
        clock_rate: Ticks of RTP's clock in a second.
    """

    sample_rate: int
    clock_rate: int

    def encode(self, pcm: Int16Array) -> bytes:
        """Turn 20 ms, shape (n,), int16, into a payload."""

    def decode(self, payload: bytes) -> Int16Array:
        """Turn a payload into shape (n,), int16; empty if it makes no sense."""

    def recover(self, payload: bytes, count: int) -> Int16Array:
        """Make up `count` samples lost just before a payload; empty where it does not help."""


class Companded:
    """G.711, whose payloads know nothing of each other.

    Args:
        law: Which of the two.
    """

    sample_rate = clock_rate = g711.SAMPLE_RATE

    def __init__(self, law: g711.G711) -> None:
        self.encode, self.decode = law.encode, law.decode

    def recover(self, payload: bytes, count: int) -> Int16Array:
        """Nothing: a payload says nothing of the one before."""
        return np.zeros(0, np.int16)


def coder(agreement: Agreement, sample_rate: int) -> Coder:
    """What an agreement wants; Opus with samples of the line's own rate."""
    if agreement.codec == OPUS:
        return Opus(sample_rate, agreement.terms)
    return Companded(_LAWS[agreement.codec])


class Fitted:
    """Packets of 20 ms of the line's, in the rate that its codec now has. Pure.

    Only where a call began with Opus and went on with G.711, as when it is handed to a gateway.

    Args:
        from_rate: Of the line, in Hz.
        to_rate: Of the codec.
    """

    def __init__(self, from_rate: int, to_rate: int) -> None:
        self._resampler = StreamResampler(from_rate, to_rate)
        self._step = round(PACKET_S * to_rate)
        # The resampler's delay, so that every packet is whole.
        self._ready: Int16Array = np.zeros(
            -(-self._resampler.delay * to_rate // from_rate), np.int16
        )

    def push(self, pcm: Int16Array) -> Int16Array:
        """Take 20 ms, give 20 ms; a little of the one before is in it."""
        self._ready = np.concatenate([self._ready, self._resampler.push(pcm)])
        packet, self._ready = self._ready[: self._step], self._ready[self._step :]
        return packet
