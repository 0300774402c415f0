"""What telephones really send, cut, spliced, doubled and bent by seed, through every parser of SIP
and of Asterisk's sockets. Thousands of cases a second: DUPLEX_EXAMPLES=100000 takes two minutes.
"""

import os
import random
from collections.abc import Callable

import numpy as np
import pytest

from agent.transports.asterisk.frames import Message, Reader
from agent.transports.asterisk.websocket import AsteriskStream
from agent.transports.jitter import AudioPacket, JitterBuffer
from agent.transports.phone.wire import MalformedError as Nonsense
from agent.transports.sip import digest, opus, rtp
from agent.transports.sip.codecs import G711, OPUS, OpusTerms
from agent.transports.sip.coding import coder
from agent.transports.sip.comfort import ComfortNoise
from agent.transports.sip.digits import KEYS, DigitReceiver, from_info
from agent.transports.sip.framing import Framer
from agent.transports.sip.hearing import Hearing
from agent.transports.sip.message import MalformedError, parse
from agent.transports.sip.sdp import Agreement, Direction, UnusableError, agree, answer, offer
from agent.transports.sip.sdp import parse as describe
from tests.asterisk.test_frames import JSON, PLAIN
from tests.core.sip.test_codecs import LINPHONE
from tests.core.sip.test_digest import RFC_2617, RFC_7616
from tests.core.sip.test_framing import ONE, OTHER
from tests.core.sip.test_message import INVITE
from tests.core.sip.test_sdp import PHONE

CASES = int(os.environ.get("DUPLEX_EXAMPLES", "300"))
LOCAL = ("127.0.0.1", 4000)

TOKENS = [
    *b'\r\n \t \0 : ; , = < > @ [ ] " / % \\ \xff \xc3 0 -1 4294967296 99999999999999 1e9'.split(
        b" "
    ),
    *b"\r\n\r\n sip: tel: tag= branch=z9hG4bK Content-Length:0 CSeq: a=fmtp:96".split(b" "),
    *b"a=rtpmap:0 m=audio \xed\xa0\x80 \xf0\x9f\x93\x9e".split(b" "),
]


def mangled(chance: random.Random, corpus: list[bytes]) -> bytes:
    """A sample with one to four accidents."""
    data = bytearray(chance.choice(corpus))
    for _ in range(chance.randint(1, 4)):
        at, end = sorted(chance.randrange(len(data) + 1) for _ in range(2))
        match chance.randrange(7):
            case 0 if at < len(data):
                data[at] = chance.randrange(256)
            case 1:
                del data[at : min(end, at + 40)]
            case 2:
                data[at:at] = data[at : min(end, at + 60)] * chance.randint(1, 3)
            case 3:
                data[at:at] = chance.choice(TOKENS)
            case 4:
                data[at:at] = chance.randbytes(chance.randrange(12))
            case 5:
                other = chance.choice(corpus)
                data[at:] = other[chance.randrange(len(other) + 1) :]
            case 6:
                del data[at:]
    return bytes(data)


def message(data: bytes) -> None:
    try:
        parse(bytes(parse(data)))
    except MalformedError:
        return


def framing(data: bytes) -> None:
    framer = Framer()
    try:
        for at in range(0, len(data), 50):
            framer.push(data[at : at + 50])
    except MalformedError:
        return


def description(data: bytes) -> None:
    try:
        media = describe(data)
        agreement = agree(media, usable=(OPUS, *G711))
    except UnusableError:
        return
    again = describe(answer(media, agreement, LOCAL, 1))
    assert [medium.kind for medium in again] == [medium.kind for medium in media]


def challenge(data: bytes) -> None:
    found = digest.parse(data.decode("utf-8", "replace"))
    assert found is None or isinstance(found.nonce, str)


def packet(data: bytes) -> None:
    found = rtp.parse(data)
    assert found is None or len(found.payload) <= len(data) - 12


def event(data: bytes) -> None:
    assert DigitReceiver().push(1, data) in (None, *KEYS)


def info(data: bytes) -> None:
    kind, _, body = data.partition(b"|")
    assert from_info(kind.decode("latin-1"), body) in (None, *KEYS)


def noise(data: bytes) -> None:
    comfort = ComfortNoise()
    comfort.describe(data)
    assert len(comfort.make(40)) == 40


def audio_socket(data: bytes) -> None:
    reader = Reader()
    for at in range(0, len(data), 20):
        list(reader.push(data[at : at + 20]))


def websocket(data: bytes) -> None:
    stream = AsteriskStream()
    for text in (PLAIN, data.decode("utf-8", "replace"), data):
        try:
            stream.read(text)
        except Nonsense:
            continue


_AGREED = Agreement(("127.0.0.1", 1), OPUS, 96, 101, Direction.BOTH, terms=OpusTerms(True))
_CODER = coder(_AGREED, 16_000) if opus.library() else None


def opus_audio(data: bytes) -> None:
    assert _CODER is not None
    hearing, jitter = Hearing(16_000), JitterBuffer()
    # One decoder throughout: what a stranger sends may not spoil what follows either.
    hearing.agree(_AGREED, _CODER)
    for number, payload in ((1, b"\x48\x00"), (3, data), (4, data[:7])):
        for heard in hearing.take(jitter.push(AudioPacket(1, number, number * 960, 96, payload))):
            assert isinstance(heard, str) or len(heard) <= 3 * 1920


def _rtp(count: int) -> list[bytes]:
    return [
        rtp.build(AudioPacket(7, i, i * 160, kind, bytes(range(i, i + 30))), marker=i % 2 == 0)
        for i, kind in enumerate([0, 8, 13, 101, 96] * count)
    ] + [b"\xb1\x60" + bytes(40), b"\x90\x60" + bytes(12) + b"\xbe\xde\0\1" + bytes(20)]


def _opus() -> list[bytes]:
    if _CODER is None:
        return []
    at = np.arange(320 * 10)
    pcm = (6000 * np.sin(2 * np.pi * 300 * at / 16_000)).astype(np.int16)
    return [_CODER.encode(pcm[i : i + 320]) for i in range(0, len(pcm), 320)]


PARSERS: dict[Callable[[bytes], None], list[bytes]] = {
    message: [INVITE, ONE, OTHER, INVITE.replace(b"UDP", b"TLS")],
    framing: [ONE + OTHER, OTHER + b"\r\n\r\n" + ONE, INVITE],
    description: [PHONE, LINPHONE, offer(LOCAL, 1, usable=(OPUS, *G711))],
    challenge: [RFC_2617.encode(), RFC_7616.encode()],
    packet: _rtp(2),
    event: [b"\x05\x0a\x00\xa0", b"\x0b\x8a\x03\x20", bytes(12)],
    info: [b"application/dtmf-relay|Signal=5\r\nDuration=160", b"application/dtmf|11"],
    noise: [bytes([40]), bytes([30, 90, 140, 200, 10, 127]), bytes(range(30))],
    audio_socket: [bytes(Message(kind, bytes(range(30)))) * 2 for kind in (0, 1, 3, 0x10, 0xFF)],
    websocket: [PLAIN.encode(), JSON.encode(), b"DTMF_END digit:#", b"MEDIA_XOFF"],
    opus_audio: _opus(),
}


@pytest.mark.parametrize("parser", PARSERS, ids=lambda parser: parser.__name__)
def test_nothing_escapes(parser):
    corpus = PARSERS[parser]
    if not corpus:
        pytest.skip("no libopus on this machine")
    chance = random.Random(11)
    for number in range(CASES):
        data = mangled(chance, corpus)
        try:
            parser(data)
        except Exception as error:
            raise AssertionError(f"case {number}: {data!r}") from error
