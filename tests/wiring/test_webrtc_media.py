"""Our receiver and sender on aiortc's own parts: real codecs, no network."""

import asyncio
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

pytest.importorskip("aiortc", reason='needs the extra: pip install "duplex-voice[webrtc]"')

from aiortc import RTCRtpReceiver
from aiortc.codecs import CODECS, get_decoder, get_encoder
from aiortc.jitterbuffer import JitterFrame
from aiortc.mediastreams import MediaStreamError
from aiortc.rtcrtpreceiver import RemoteStreamTrack
from aiortc.rtp import RtpPacket
from av import AudioFrame

from agent.audio.chunk import Int16Array
from agent.errors import SettingsError
from agent.transports.webrtc_call import WebRTCTransport
from agent.transports.webrtc_media import (
    AudioReceiver,
    InboundAudio,
    OutboundTrack,
    decoded,
)

_CODECS = {codec.mimeType.removeprefix("audio/"): codec for codec in CODECS["audio"]}


def _receiver() -> tuple[AudioReceiver, Any]:
    """Ours, on a real aiortc receiver that is not connected."""
    transport = SimpleNamespace(state="new")
    receiver = RTCRtpReceiver("audio", transport)
    receiver._track = RemoteStreamTrack("audio")
    receiver._RTCRtpReceiver__codecs.update({c.payloadType: c for c in CODECS["audio"]})
    return AudioReceiver(receiver), receiver


def _tone(seconds: float, sample_rate: int = 48000) -> Int16Array:
    t = np.arange(round(seconds * sample_rate)) / sample_rate
    return np.rint(8000 * np.sin(2 * np.pi * 300 * t)).astype(np.int16)


def _packets(name: str, pcm: Int16Array, sequence: int = 0, timestamp: int = 0) -> list[RtpPacket]:
    codec = _CODECS[name]
    encoder = get_encoder(codec)
    packets = []
    for at in range(0, len(pcm), 960):
        frame = AudioFrame.from_ndarray(pcm[None, at : at + 960], format="s16", layout="mono")
        frame.sample_rate, frame.pts = 48000, at
        payloads, ticks = encoder.encode(frame)
        for payload in payloads:
            packets.append(_rtp(codec.payloadType, sequence, timestamp + ticks, payload))
            sequence += 1
    return packets


def _rtp(payload_type: int, sequence: int, timestamp: int, payload: bytes) -> RtpPacket:
    packet = RtpPacket(
        payload_type=payload_type,
        sequence_number=sequence % 65536,
        timestamp=timestamp % (1 << 32),
    )
    packet.ssrc = 1
    packet.payload = packet._data = payload
    return packet


def _heard(receiver: Any, inbound: InboundAudio) -> Int16Array:
    queue = receiver.track._queue
    parts = [inbound.push(decoded(queue.get_nowait())) for _ in range(queue.qsize())]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


@pytest.mark.parametrize("name", ["opus", "G722", "PCMU", "PCMA"])
async def test_every_codec_that_can_be_agreed_on_keeps_the_clock(name: str) -> None:
    ours, receiver = _receiver()
    packets = _packets(name, _tone(2.0), sequence=65500, timestamp=(1 << 32) - 5000)
    inbound = InboundAudio()

    for index, packet in enumerate(packets):
        if index not in (20, 21, 50):
            assert ours.add(packet) == (False, None)

    heard = _heard(receiver, inbound)
    assert abs(len(heard) - len(packets) * 320) <= 80
    assert inbound.concealed_s == pytest.approx(0.06)
    spectrum = np.abs(np.fft.rfft(heard[:16000]))
    assert int(np.argmax(spectrum)) == 300


async def test_empty_packet_ends_aiortcs_decoder_but_not_ours() -> None:
    packets = _packets("opus", _tone(1.0))
    decoder = get_decoder(_CODECS["opus"])
    decoder.decode(JitterFrame(b"", 0))
    with pytest.raises(EOFError):
        decoder.decode(JitterFrame(packets[0]._data, 0))

    ours, receiver = _receiver()
    packets[10] = _rtp(96, 10, 9600, b"")
    for packet in packets:
        ours.add(packet)
    assert abs(len(_heard(receiver, InboundAudio())) - 16000) <= 80


async def test_garbage_is_a_gap_that_is_concealed() -> None:
    ours, receiver = _receiver()
    packets = _packets("opus", _tone(1.0))
    packets[10] = _rtp(96, 10, 9600, b"\xff\xff\xff")
    inbound = InboundAudio()
    for packet in packets:
        ours.add(packet)
    assert abs(len(_heard(receiver, inbound)) - 16000) <= 80
    assert ours.undecodable == 1
    assert inbound.concealed_s == pytest.approx(0.02)


async def test_codec_may_change_in_the_call() -> None:
    ours, receiver = _receiver()
    inbound = InboundAudio()
    packets = _packets("opus", _tone(1.0)) + _packets("PCMU", _tone(1.0), 50, 48000)
    for packet in packets:
        ours.add(packet)
    assert abs(len(_heard(receiver, inbound)) - len(packets) * 320) <= 80


async def test_unread_audio_is_bounded_and_the_oldest_goes() -> None:
    ours, receiver = _receiver()
    for packet in _packets("opus", _tone(6.0)):
        ours.add(packet)
    queue = receiver.track._queue
    assert queue.qsize() == 250
    assert queue.get_nowait().pts == 50 * 960


async def test_installing_twice_changes_nothing() -> None:
    ours, receiver = _receiver()
    assert AudioReceiver.of(receiver) is ours


async def test_flush_gives_what_a_hole_held_back() -> None:
    ours, receiver = _receiver()
    packets = _packets("opus", _tone(0.1))
    ours.add(packets[0])
    ours.add(packets[2])
    assert receiver.track._queue.qsize() == 1
    ours.flush()
    assert receiver.track._queue.qsize() == 2


@pytest.mark.parametrize("sample_rate", [8000, 16000, 24000, 48000])
async def test_packets_sent_are_mono_opus_at_speech_rate(sample_rate: int) -> None:
    track = OutboundTrack(sample_rate)
    rng = np.random.default_rng(1)
    pcm = (_tone(1.0, sample_rate) + rng.normal(0, 300, sample_rate)).astype(np.int16)
    writing = asyncio.create_task(track.write(pcm.tobytes()))
    await asyncio.sleep(0)
    packets = [await track.recv() for _ in range(50)]
    assert await writing

    bits = sum(len(bytes(packet)) for packet in packets) * 8
    assert 12_000 < bits < 40_000
    assert {b.pts - a.pts for a, b in pairwise(packets)} == {960}
    # The table-of-contents byte of RFC 6716: bit 2 is stereo.
    assert not any(bytes(packet)[0] & 0b100 for packet in packets)
    decoder = get_decoder(_CODECS["opus"])
    sound = np.concatenate(
        [
            decoded(frame).pcm
            for packet in packets
            for frame in decoder.decode(JitterFrame(bytes(packet), packet.pts))
        ]
    )
    assert int(np.argmax(np.abs(np.fft.rfft(sound)))) == 300


async def test_writer_waits_until_20_ms_are_left() -> None:
    track = OutboundTrack(16000)
    writing = asyncio.create_task(track.write(bytes(2 * 320 * 3)))
    await asyncio.sleep(0)
    assert track.queued_s == pytest.approx(0.06)
    await track.recv()
    await asyncio.sleep(0)
    assert not writing.done()
    await track.recv()
    assert await writing
    assert track.queued_s == pytest.approx(0.02)


async def test_writer_that_is_late_leaves_no_hole() -> None:
    track = OutboundTrack(16000, is_opus=False)
    speech = _tone(0.2, 16000).tobytes()

    sent = []
    for at in range(0, len(speech), 640):
        # From the second on the track has nothing left and is asked for more.
        asking = asyncio.create_task(track.recv())
        async with asyncio.timeout(5):
            while at and track._written.is_set():  # noqa: ASYNC110
                await asyncio.sleep(0)
        await track.write(speech[at : at + 640])
        frame = await asking
        assert isinstance(frame, AudioFrame)
        sent.append(frame.to_ndarray()[0])
    assert np.concatenate(sent).tobytes() == speech


async def test_end_of_speech_is_followed_by_silence_all_the_same() -> None:
    track = OutboundTrack(16000, is_opus=False)
    await track.write(_tone(0.02, 16000).tobytes())
    frames = [await track.recv() for _ in range(3)]
    assert [bool(f.to_ndarray().any()) for f in frames] == [True, False, False]
    assert [f.pts for f in frames] == [320, 640, 960]


async def test_half_a_packet_is_filled_up_and_silence_follows() -> None:
    track = OutboundTrack(16000, is_opus=False)
    await track.write(_tone(0.01, 16000).tobytes())
    first, second = await track.recv(), await track.recv()
    assert isinstance(first, AudioFrame) and isinstance(second, AudioFrame)
    pcm = first.to_ndarray()[0]
    assert pcm[:160].any() and not pcm[160:].any()
    assert not second.to_ndarray().any()


async def test_after_a_standstill_the_stream_goes_on_now() -> None:
    track = OutboundTrack(16000, is_opus=False)
    first = await track.recv()
    assert track._start_s is not None
    track._start_s -= 10.0
    second = await track.recv()
    assert isinstance(first, AudioFrame) and isinstance(second, AudioFrame)
    assert second.pts is not None and first.pts is not None
    assert second.pts - first.pts == pytest.approx(10.0 * 16000, abs=400)


async def test_ended_track_lets_its_writer_go() -> None:
    track = OutboundTrack(24000)
    writing = asyncio.create_task(track.write(bytes(48000)))
    draining = asyncio.create_task(track.drain())
    await asyncio.sleep(0)
    track.stop()
    assert not await writing
    await draining
    with pytest.raises(MediaStreamError):
        await track.recv()


def test_rate_that_opus_lacks_is_refused() -> None:
    with pytest.raises(SettingsError, match="24000"):
        WebRTCTransport(SimpleNamespace(), output_rate=22050)
