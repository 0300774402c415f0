"""libopus as this machine has it: the extra's, or its own."""

import random
from functools import cache

import numpy as np
import pytest

from agent.audio.chunk import Int16Array
from agent.transports.jitter import AudioPacket, JitterBuffer
from agent.transports.sip import opus as binding
from agent.transports.sip.codecs import OPUS, OpusTerms
from agent.transports.sip.coding import Fitted, coder, usable
from agent.transports.sip.hearing import Hearing
from agent.transports.sip.opus import Opus
from agent.transports.sip.sdp import Agreement, Direction
from tests.core.sip.limits import cases
from tests.core.sip.mangling import CHANCES, in_pieces, mangled

pytestmark = pytest.mark.skipif(
    binding.library() is None, reason='no libopus: pip install "duplex-voice[opus]"'
)

RATES = [8_000, 16_000]
FEC = OpusTerms(has_copies=True)


def hum(rate: int, seconds: float = 2.0) -> Int16Array:
    """A voice's buzz whose pitch glides: what is lost is not just what came before."""
    t = np.arange(round(rate * seconds)) / rate
    phase = 2 * np.pi * (150 * t + 20 * np.sin(2 * np.pi * 0.7 * t))
    signal = sum(np.sin(k * phase) / k for k in range(1, 15))
    return (4000 * signal).astype(np.int16)


def packets(rate, pcm, terms=FEC):
    speaker, step = Opus(rate, terms), rate // 50
    return [speaker.encode(pcm[i : i + step]) for i in range(0, len(pcm), step)]


def distance_db(heard, meant):
    """Difference of two spectra, loud bins only, in dB: phase is not heard."""

    def spectra(pcm):
        frames = pcm[: len(pcm) // 320 * 320].reshape(-1, 320).astype(float)
        return np.abs(np.fft.rfft(frames * np.hanning(320), axis=1)) + 100.0

    a, b = spectra(heard), spectra(meant)
    return float(np.mean(np.abs(20 * np.log10(a / b))[b > 2000]))


@pytest.mark.parametrize("rate", RATES)
def test_what_is_said_is_heard(rate):
    pcm = hum(rate)
    listener = Opus(rate, OpusTerms())
    heard = np.concatenate([listener.decode(packet) for packet in packets(rate, pcm)])
    assert len(heard) == len(pcm)
    # The codec's delay, found by trying.
    delay = max(
        range(rate // 50),
        key=lambda d: np.dot(heard[d:16000].astype(float), pcm[: 16000 - d]) if d else -1.0,
    )
    assert 0.002 * rate <= delay <= 0.008 * rate
    assert distance_db(heard[delay:], pcm[: len(pcm) - delay]) < 4.0


def test_the_wishes_of_the_peer_are_kept():
    pcm = hum(16_000)
    size = lambda terms: [len(packet) for packet in packets(16_000, pcm, terms)]  # noqa: E731
    assert len(set(size(OpusTerms(is_constant=True)))) == 1
    assert sum(size(OpusTerms(most_bits_per_s=8_000))) < 0.6 * sum(size(OpusTerms()))


def heard(rate, sent, lost):
    """What comes of packets of which some are lost."""
    agreement = Agreement(("127.0.0.1", 1), OPUS, 96, None, Direction.BOTH, terms=FEC)
    hearing, jitter = Hearing(rate), JitterBuffer()
    hearing.agree(agreement, coder(agreement, rate))
    pieces = []
    for i, payload in enumerate(sent):
        if i not in lost:
            pieces += hearing.take(jitter.push(AudioPacket(1, i, i * 960, 96, payload)))
    return np.concatenate(pieces)


def test_a_lost_packet_comes_back_from_the_next_one():
    rate, pcm = 16_000, hum(16_000, 4.0)
    chance = random.Random(3)
    lost = {i for i in range(10, 195) if chance.random() < 0.1}
    whole = heard(rate, packets(rate, pcm), set())
    with_copies = heard(rate, packets(rate, pcm), lost)
    without = heard(rate, packets(rate, pcm, OpusTerms()), lost)
    assert len(whole) == len(with_copies) == len(without), "the clock keeps the caller's time"

    def worst(other):
        return distance_db(
            np.concatenate([other[i * 320 : (i + 1) * 320] for i in sorted(lost)]),
            np.concatenate([whole[i * 320 : (i + 1) * 320] for i in sorted(lost)]),
        )

    assert worst(with_copies) < worst(without)


def test_a_line_of_16_khz_goes_on_over_g711():
    pcm = hum(16_000)
    fitted = Fitted(16_000, 8_000)
    out = [fitted.push(pcm[i : i + 320]) for i in range(0, len(pcm), 320)]
    assert {len(packet) for packet in out} == {160}
    agreement = Agreement(("127.0.0.1", 1), "PCMU", 0, None, Direction.BOTH)
    law, hearing, jitter = coder(agreement, 16_000), Hearing(16_000), JitterBuffer()
    hearing.agree(agreement, law)
    again = np.concatenate(
        [
            piece
            for i, packet in enumerate(out)
            for piece in hearing.take(
                jitter.push(AudioPacket(1, i, i * 160, 0, law.encode(packet)))
            )
        ]
    )
    # Both resamplers keep back a little, and none of it is gone.
    assert len(pcm) - 200 <= len(again) <= len(pcm)
    assert 0.9 < np.std(again[2000:]) / np.std(pcm[2000:]) < 1.05


def test_where_there_is_no_library_there_is_no_opus(monkeypatch):
    monkeypatch.setattr(binding, "_of_the_extra", lambda: None)
    monkeypatch.setattr(binding, "find_library", lambda name: None)
    binding.library.cache_clear()
    try:
        assert usable() == ("PCMU", "PCMA")
        monkeypatch.setattr(binding, "find_library", lambda name: "libm.so.6")
        binding.library.cache_clear()
        assert binding.library() is None, "another library by that name"
    finally:
        binding.library.cache_clear()


@cache
def listener() -> Opus:
    """One decoder throughout: what a stranger sends may not spoil what follows either."""
    return Opus(16_000, FEC)


REAL = packets(16_000, hum(16_000, 0.2)) if binding.library() else [b"\x48"]


@cases(mangled(*REAL), CHANCES)
def test_any_payload_is_audio_or_none(payload, chance):
    count = chance.choice([320, 640, 960, 40, 1920])
    assert len(listener().recover(payload, count)) in (0, count)
    assert len(listener().decode(payload)) <= 1920


@cases(mangled(*REAL), CHANCES)
def test_any_packets_are_audio_and_keys(stream, chance):
    agreement = Agreement(("127.0.0.1", 1), OPUS, 96, 101, Direction.BOTH, terms=FEC)
    hearing, jitter = Hearing(16_000), JitterBuffer()
    hearing.agree(agreement, coder(agreement, 16_000))
    number, timestamp = chance.getrandbits(16), chance.getrandbits(32)
    for payload in in_pieces(chance, stream, 40)[:8]:
        number = chance.choice([number + 1, chance.getrandbits(16)]) & 0xFFFF
        timestamp = chance.choice([timestamp + 960, chance.getrandbits(32)]) & 0xFFFFFFFF
        packet = AudioPacket(1, number, timestamp, chance.choice([96, 13, 101, 0]), payload)
        for item in hearing.take(jitter.push(packet)):
            assert isinstance(item, str) or item.dtype == np.int16
    assert len(hearing.wait(0.1)) == 1600
