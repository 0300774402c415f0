import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.transports.jitter import AudioPacket
from agent.transports.sip import rtp
from agent.transports.sip.digits import KEYS, DigitReceiver, DigitSender, from_info
from agent.transports.sip.g711 import PCMA, PCMU
from tests.core.sip.limits import cases

U32 = st.integers(0, 2**32 - 1)


@cases
@given(U32, st.integers(0, 65535), U32, st.integers(0, 63), st.binary(max_size=200), st.booleans())
def test_a_packet_is_read_as_it_was_written(ssrc, number, timestamp, kind, payload, marker):
    packet = AudioPacket(ssrc, number, timestamp, kind, payload)
    assert rtp.parse(rtp.build(packet, marker=marker)) == packet


@cases
@given(st.binary(max_size=100) | st.binary(max_size=60).map(lambda rest: b"\xb1\0" + rest))
def test_any_datagram_is_a_packet_or_none(datagram):
    packet = rtp.parse(datagram)
    assert packet is None or len(packet.payload) <= len(datagram) - 12


def test_extensions_sources_and_padding_are_no_audio():
    plain = rtp.build(AudioPacket(1, 2, 3, 0, b""))
    head = bytes([0x80 | 0x20 | 0x10 | 2]) + plain[1:]
    datagram = head + b"csrccsrc" + b"\xbe\xde\0\1wxyz" + b"audio" + b"\0\0\3"
    assert rtp.parse(datagram).payload == b"audio"


@pytest.mark.parametrize(
    ("law", "code", "level"),
    [
        # ITU-T G.711, tables 1 and 2, scaled to 16 bits.
        (PCMU, 0x80, 32124),
        (PCMU, 0x00, -32124),
        (PCMU, 0xFF, 0),
        (PCMA, 0xAA, 32256),
        (PCMA, 0x2A, -32256),
        (PCMA, 0xD5, 8),
        (PCMA, 0x55, -8),
    ],
)
def test_levels_of_the_standard(law, code, level):
    assert law.decode(bytes([code]))[0] == level


@pytest.mark.parametrize("law", [PCMU, PCMA], ids=lambda law: law.name)
def test_every_sample_becomes_the_level_nearest_to_it(law):
    levels = np.sort(law.decode(bytes(range(256))).astype(np.int32))
    samples = np.arange(-32768, 32768)
    decoded = law.decode(law.encode(samples.astype(np.int16))).astype(np.int32)
    nearest = np.abs(levels[:, None] - samples[None, ::37]).min(axis=0)
    # Between two segments the decision value is that of the finer one, not the middle.
    allowed = nearest + np.maximum(8, np.abs(samples[::37]) // 32)
    assert (np.abs(decoded - samples)[::37] <= allowed).all()
    again = law.decode(law.encode(law.decode(bytes(range(256)))))
    assert (again == law.decode(bytes(range(256)))).all()


def played(sender, steps=2000):
    """Every packet of what a sender presses, with what is sent between."""
    timestamp, packets = 4_294_960_000, []
    for _ in range(steps):
        events = sender.step(timestamp)
        packets += events or []
        timestamp = (timestamp + 160) & 0xFFFFFFFF
        if not sender.is_busy:
            break
    return packets


def heard(packets):
    receiver = DigitReceiver()
    return "".join(filter(None, (receiver.push(p.timestamp, p.payload) for p in packets)))


@cases
@given(st.text(KEYS, max_size=20), st.randoms(use_true_random=False))
def test_every_key_is_heard_once_though_two_of_three_packets_are_lost(keys, random):
    sender = DigitSender()
    sender.press(keys)
    packets = played(sender)
    assert heard(packets) == keys
    kept = []
    for timestamp in dict.fromkeys(p.timestamp for p in packets):
        of_key = [p for p in packets if p.timestamp == timestamp]
        kept += sorted(random.sample(of_key, 2), key=of_key.index)
    assert heard(kept) == keys


def test_a_key_held_for_long_is_one_key():
    receiver = DigitReceiver()
    assert receiver.push(1000, b"\x05\x0a\xff\xff") == "5"
    assert receiver.push(1000 + 0xFFFF, b"\x05\x0a\x00\xa0") is None


def test_keys_that_are_none():
    receiver = DigitReceiver()
    assert receiver.push(1, b"") is None and receiver.malformed == 1
    assert receiver.push(2, b"\x40\0\0\0") is None
    with pytest.raises(ValueError):
        DigitSender().press("1x")


@cases
@given(U32, st.binary(max_size=12))
def test_any_event_is_a_key_or_none(timestamp, payload):
    key = DigitReceiver().push(timestamp, payload)
    assert key is None or key in KEYS


@pytest.mark.parametrize(
    ("kind", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160", "5"),
        ("application/dtmf-relay; x=y", b"signal = *", "*"),
        ("application/dtmf", b"11", "#"),
        ("application/dtmf", b"99", None),
        ("text/plain", b"5", None),
        ("", b"\xff", None),
    ],
)
def test_keys_by_info(kind, body, key):
    assert from_info(kind, body) == key


@cases
@given(st.sampled_from(["application/dtmf", "application/dtmf-relay"]), st.binary(max_size=40))
def test_any_info_is_a_key_or_none(kind, body):
    key = from_info(kind, body)
    assert key is None or key in KEYS
