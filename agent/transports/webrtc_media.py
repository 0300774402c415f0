"""Audio of a WebRTC peer: packets in as 16 kHz PCM, PCM out as paced Opus packets.

Needs aiortc. What is replaced in aiortc, and why: its audio jitter buffer delays more and more, its
decoder leaves gaps out and dies of one empty packet, its encoder sends 96 kb/s of stereo.
"""

import asyncio
import contextlib
from fractions import Fraction
from typing import Any, NamedTuple

import av
import numpy as np
from aiortc.codecs import get_decoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame, CodecContext
from av.packet import Packet

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.audio.conceal import GapFiller
from agent.audio.resample import StreamResampler
from agent.transports.jitter import AudioPacket, JitterBuffer, JitterStats, OrderedPacket

_MOST_QUEUED = 250
"""Decoded packets that may wait for the pipeline, 5 s. Full, the oldest is dropped."""

_PACKET_S = 0.02

_RTP_CLOCK = 48_000
"""Opus counts its timestamps at this rate, whatever is encoded (RFC 7587)."""

OPUS_RATES = (8_000, 12_000, 16_000, 24_000, 48_000)
"""Rates in Hz that the encoder takes without resampling."""

_BITRATE = 32_000
"""Bits per second: transparent for mono speech, a third of aiortc's."""

_EXPECTED_LOSS_PERCENT = 5
"""How much the encoder's forward error correction prepares for."""

_LOW_WATER_S = 0.02
"""A write returns once no more than this waits: with the packet written next, 40 ms at most."""

_GRACE_S = 0.02
"""How long a packet in the middle of speech waits for its audio. The peer's own buffer hides a late
packet; silence in its place would be heard."""

_LARGEST_BURST_S = 0.2
"""If the loop stood still for longer, the stream goes on now instead of being caught up with."""


class DecodedAudio(NamedTuple):
    """What one packet says.

    Attributes:
        position: Of the first sample on the sender's clock, in samples at `sample_rate`.
        pcm: Mono samples, shape (n,), int16.
        sample_rate: In Hz.
    """

    position: int
    pcm: Int16Array
    sample_rate: int


class AudioReceiver:
    """Stands in for the jitter buffer of an aiortc audio receiver, and for its decoder.

    aiortc takes one frame for a packet, too few once a hole is given up; so nothing is handed back
    to it, and the decoded audio goes straight to the receiver's track.

    Args:
        receiver: Of the connection's audio; changed in place.
    """

    def __init__(self, receiver: Any) -> None:
        self._receiver = receiver
        self._buffer = JitterBuffer()
        self._decoder: Any = None
        self._payload_type = -1
        self.undecodable = 0
        receiver._RTCRtpReceiver__jitter_buffer = self

    @classmethod
    def of(cls, receiver: Any) -> "AudioReceiver":
        """Install on a receiver, or find the one installed before."""
        installed = receiver._RTCRtpReceiver__jitter_buffer
        return installed if isinstance(installed, cls) else cls(receiver)

    @property
    def stats(self) -> JitterStats:
        """What became of the packets so far."""
        return self._buffer.stats

    def add(self, packet: Any) -> tuple[bool, None]:
        """Take a packet, as aiortc calls it. Never asks for a key frame, never gives a frame."""
        ordered = self._buffer.push(
            AudioPacket(
                packet.ssrc,
                packet.sequence_number,
                packet.timestamp,
                packet.payload_type,
                packet._data,
            )
        )
        self._deliver(ordered)
        return False, None

    def flush(self) -> None:
        """Stop waiting for missing packets: none came to settle it."""
        self._deliver(self._buffer.flush())

    def _deliver(self, ordered: list[OrderedPacket]) -> None:
        queue = self._receiver.track._queue
        for item in ordered:
            for frame in self._decode(item):
                if queue.qsize() >= _MOST_QUEUED:
                    queue.get_nowait()
                queue.put_nowait(frame)

    def _decode(self, item: OrderedPacket) -> list[AudioFrame]:
        packet = item.packet
        # Libav takes an empty packet for the end of the stream and decodes nothing ever after.
        if not packet.payload:
            return []
        if packet.payload_type != self._payload_type:
            codecs = self._receiver._RTCRtpReceiver__codecs
            self._decoder = get_decoder(codecs[packet.payload_type])
            self._payload_type = packet.payload_type
        try:
            frames: list[AudioFrame] = self._decoder.decode(
                JitterFrame(packet.payload, item.timestamp)
            )
        except av.FFmpegError:
            # Garbage from a peer is a gap like any other: its position stays empty.
            self.undecodable += 1
            return []
        return frames


def decoded(frame: AudioFrame) -> DecodedAudio:
    """Mix a decoded frame down to mono.

    Args:
        frame: Packed 16-bit, mono or stereo, as aiortc's decoders give it.
    """
    channels = len(frame.layout.channels)
    samples: Int16Array = frame.to_ndarray().astype(np.int16, copy=False).reshape(-1, channels)
    mono = samples[:, 0] if channels == 1 else samples.mean(axis=1).astype(np.int16)
    return DecodedAudio(frame.pts or 0, mono, frame.sample_rate)


class InboundAudio:
    """Turns decoded packets into an unbroken stream at the media clock's rate."""

    def __init__(self) -> None:
        self._rate = 0
        self._filler = GapFiller(_RTP_CLOCK)
        self._resampler = StreamResampler(_RTP_CLOCK, SAMPLE_RATE)

    @property
    def concealed_s(self) -> float:
        """Seconds made up so far, since the codec last changed."""
        return self._filler.concealed / max(1, self._rate)

    def push(self, audio: DecodedAudio) -> Int16Array:
        """Place a packet's audio.

        Returns:
            Shape (n,), int16, at `SAMPLE_RATE`, what was missing before it included.
        """
        rest = self._change_rate(audio.sample_rate)
        pcm = self._resampler.push(self._filler.push(audio.position, audio.pcm))
        return np.concatenate([rest, pcm]) if len(rest) else pcm

    def wait(self, duration_s: float) -> Int16Array:
        """Fill in while nothing arrives.

        Returns:
            Shape (n,), int16, at `SAMPLE_RATE`; empty before the first packet.
        """
        return self._resampler.push(self._filler.wait(round(duration_s * self._rate)))

    def _change_rate(self, sample_rate: int) -> Int16Array:
        """Begin another codec's stream, if it is one; give the rest of the one before."""
        if sample_rate == self._rate:
            return np.zeros(0, np.int16)
        rest = self._resampler.flush()
        self._rate = sample_rate
        self._filler = GapFiller(sample_rate)
        self._resampler = StreamResampler(sample_rate, SAMPLE_RATE)
        return rest


class OutboundTrack(MediaStreamTrack):
    """Sends PCM as one packet every 20 ms, silence where there is none.

    The queue holds 40 ms at most; full, it makes the writer wait. Between a return of `write` and
    a hole in the audio lie 20 ms and 20 more of grace, so a writer that comes late is not heard.

    Args:
        sample_rate: Of what is written, in Hz, one of `OPUS_RATES`.
        is_opus: Whether the peer agreed on Opus. If not, aiortc encodes what was agreed.
    """

    kind = "audio"

    def __init__(self, sample_rate: int, *, is_opus: bool = True) -> None:
        super().__init__()
        self._rate = sample_rate
        self._encoder = _opus_encoder(sample_rate) if is_opus else None
        self._packet_bytes = 2 * round(_PACKET_S * sample_rate)
        self._low_water = 2 * round(_LOW_WATER_S * sample_rate)
        self._queue = bytearray()
        self._taken = asyncio.Event()
        self._written = asyncio.Event()
        self._is_speaking = False
        self._start_s: float | None = None
        # A sender that just replaced another track may have used up the first timestamp.
        self._sent = 1

    @property
    def queued_s(self) -> float:
        """Seconds of audio written and not sent yet."""
        return len(self._queue) / 2 / self._rate

    async def write(self, pcm: bytes) -> bool:
        """Queue audio; return when there is room for more.

        Args:
            pcm: 16-bit mono, little-endian, at `sample_rate`.

        Returns:
            False once the track has ended.
        """
        self._queue += pcm
        self._written.set()
        await self._wait_below(self._low_water)
        return bool(self.readyState == "live")

    async def drain(self) -> None:
        """Wait until everything written was sent."""
        await self._wait_below(0)

    async def recv(self) -> "Packet[Any] | AudioFrame":
        """Give the next 20 ms when they are due, as aiortc's sender calls it.

        Raises:
            MediaStreamError: The track has ended.
        """
        if self.readyState != "live":
            raise MediaStreamError
        await self._until_due()
        if self._is_speaking and not self._queue:
            await self._until_written()
        self._is_speaking = bool(self._queue)
        pcm = bytes(self._queue[: self._packet_bytes])
        del self._queue[: self._packet_bytes]
        self._taken.set()
        frame = self._frame(pcm.ljust(self._packet_bytes, b"\0"))
        self._sent += 1
        return self._encoded(frame) if self._encoder else frame

    def stop(self) -> None:
        """End the track and let go who waits for it."""
        super().stop()
        self._queue.clear()
        self._taken.set()
        self._written.set()

    async def _wait_below(self, level: int) -> None:
        while len(self._queue) > level and self.readyState == "live":
            self._taken.clear()
            await self._taken.wait()

    async def _until_written(self) -> None:
        self._written.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._written.wait(), _GRACE_S)

    async def _until_due(self) -> None:
        now = asyncio.get_running_loop().time()
        if self._start_s is None:
            self._start_s = now - self._sent * _PACKET_S
        late = now - self._start_s - self._sent * _PACKET_S
        if late > _LARGEST_BURST_S:
            self._sent += int(late / _PACKET_S)
        elif late < 0:
            await asyncio.sleep(-late)

    def _frame(self, pcm: bytes) -> AudioFrame:
        samples = np.frombuffer(pcm, np.int16)
        frame = AudioFrame.from_ndarray(samples[None, :], format="s16", layout="mono")
        frame.sample_rate = self._rate
        frame.pts = self._sent * len(samples)
        frame.time_base = Fraction(1, self._rate)
        return frame

    def _encoded(self, frame: AudioFrame) -> "Packet[Any]":
        # 0.35 ms: not worth the way to another thread and back.
        assert self._encoder is not None
        payload = b"".join(bytes(packet) for packet in self._encoder.encode(frame))
        packet: Packet[Any] = Packet(payload)
        packet.pts = self._sent * round(_PACKET_S * _RTP_CLOCK)
        packet.time_base = Fraction(1, _RTP_CLOCK)
        return packet


def _opus_encoder(sample_rate: int) -> Any:
    encoder = CodecContext.create("libopus", "w")
    encoder.sample_rate = sample_rate
    encoder.format = "s16"
    encoder.layout = "mono"
    encoder.bit_rate = _BITRATE
    encoder.time_base = Fraction(1, sample_rate)
    encoder.options = {
        "application": "voip",
        "frame_duration": "20",
        "fec": "1",
        "packet_loss": str(_EXPECTED_LOSS_PERCENT),
    }
    return encoder
