import numpy as np
import pytest

from agent.transports.jitter import AudioPacket
from agent.transports.sip import rtp
from agent.transports.sip.digits import KEYS, DigitReceiver, DigitSender, from_info
from agent.transports.sip.g711 import PCMA, PCMU
from tests.core.sip.limits import cases
from tests.core.sip.mangling import CHANCES, mangled


@cases(CHANCES)
def test_a_packet_is_read_as_it_was_written(chance):
    ssrc, timestamp = chance.getrandbits(32), chance.getrandbits(32)
    number, kind = chance.getrandbits(16), chance.getrandbits(6)
    payload = chance.randbytes(chance.randrange(200))
    packet = AudioPacket(ssrc, number, timestamp, kind, payload)
    assert rtp.parse(rtp.build(packet, marker=bool(chance.getrandbits(1)))) == packet


PACKETS = [
    *(
        rtp.build(AudioPacket(7, i, i * 160, kind, bytes(range(i, i + 30))), marker=i % 2 == 0)
        for i, kind in enumerate([0, 8, 13, 101, 96])
    ),
    b"\xb1\x60" + bytes(40),
    b"\x90\x60" + bytes(12) + b"\xbe\xde\0\1" + bytes(20),
]


@cases(mangled(*PACKETS))
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


@cases(CHANCES)
def test_every_key_is_heard_once_though_all_but_two_packets_of_each_are_lost(chance):
    keys = "".join(chance.choices(KEYS, k=chance.randrange(4)))
    sender = DigitSender()
    sender.press(keys)
    packets = played(sender)
    assert heard(packets) == keys
    kept = []
    for timestamp in dict.fromkeys(p.timestamp for p in packets):
        of_key = [p for p in packets if p.timestamp == timestamp]
        kept += sorted(chance.sample(of_key, 2), key=of_key.index)
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


@cases(mangled(b"\x05\x0a\x00\xa0" * 3, b"\x0b\x8a\x03\x20" * 3), CHANCES)
def test_any_events_are_keys_or_none(payloads, chance):
    receiver, timestamp = DigitReceiver(), chance.getrandbits(32)
    for at in range(0, len(payloads), 5):
        key = receiver.push(timestamp, payloads[at : at + 4])
        assert key is None or key in KEYS
        timestamp = chance.choice([timestamp, chance.getrandbits(32)])


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


@cases(mangled(b"application/dtmf-relay|Signal=5\r\nDuration=160", b"application/dtmf|11"))
def test_any_info_is_a_key_or_none(info):
    kind, _, body = info.partition(b"|")
    key = from_info(kind.decode("latin-1"), body)
    assert key is None or key in KEYS
