import pytest

from agent.transports.sip.codecs import G711, OPUS
from agent.transports.sip.sdes import KEY_BYTES, Security
from agent.transports.sip.sdp import Direction, UnusableError, agree, answer, offer, parse
from tests.core.sip.limits import cases
from tests.core.sip.mangling import CHANCES, mangled

LOCAL = ("127.0.0.1", 4000)

PHONE = b"""v=0
o=- 1 1 IN IP4 10.0.0.5
s=-
c=IN IP4 10.0.0.5
t=0 0
m=video 6000 RTP/AVP 96
a=rtpmap:96 VP8/90000
m=audio 7000 RTP/AVP 96 9 8 0 97
a=rtpmap:96 opus/48000/2
a=rtpmap:97 telephone-event/8000
a=sendrecv
"""


def test_the_callers_first_codec_that_we_have_is_taken():
    agreement = agree(parse(PHONE))
    assert agreement.remote == ("10.0.0.5", 7000)
    assert (agreement.codec, agreement.payload_type, agreement.event_type) == ("PCMA", 8, 97)
    written = answer(parse(PHONE), agreement, LOCAL, 1).decode()
    assert "m=video 0 RTP/AVP 96" in written
    assert "m=audio 4000 RTP/AVP 8 97" in written


def test_a_codec_under_a_number_of_its_own():
    body = (
        PHONE.replace(b"96 9 8 0 97", b"110").replace(b"97 tele", b"97 x")
        + b"a=rtpmap:110 PCMU/8000\n"
    )
    assert (agree(parse(body)).codec, agree(parse(body)).payload_type) == ("PCMU", 110)


def test_our_offer_is_understood_by_ourselves():
    theirs = agree(parse(offer(LOCAL, 1)))
    assert (theirs.codec, theirs.remote, theirs.event_type) == ("PCMU", LOCAL, 101)
    assert theirs.direction is Direction.BOTH


@pytest.mark.parametrize(
    ("said", "ours", "sends", "hears"),
    [
        (b"sendrecv", Direction.BOTH, True, True),
        (b"sendonly", Direction.BOTH, False, True),
        (b"recvonly", Direction.BOTH, True, False),
        (b"inactive", Direction.BOTH, False, False),
        (b"sendrecv", Direction.SEND, True, False),
        (b"recvonly", Direction.SEND, True, False),
        (b"sendonly", Direction.SEND, False, False),
    ],
)
def test_directions(said, ours, sends, hears):
    agreement = agree(parse(PHONE.replace(b"sendrecv", said)), ours=ours)
    assert (agreement.may_send, agreement.may_receive) == (sends, hears)


def test_the_old_way_of_holding():
    body = PHONE.replace(b"c=IN IP4 10.0.0.5", b"c=IN IP4 0.0.0.0")
    assert not agree(parse(body)).may_send


@pytest.mark.parametrize(
    "body",
    [
        b"",
        PHONE.replace(b"96 9 8 0 97", b"96 9"),
        PHONE.replace(b"m=audio 7000 RTP/AVP", b"m=audio 7000 RTP/SAVP"),
        PHONE.replace(b"m=audio 7000", b"m=audio 0"),
        PHONE.replace(b"c=IN IP4 10.0.0.5", b"c=IN IP4 example.org"),
        b"x" * 20_000,
    ],
)
def test_nothing_in_common(body):
    with pytest.raises(UnusableError):
        agree(parse(body))


ENCRYPTED = PHONE.replace(b"RTP/AVP 96 9", b"RTP/SAVP 96 9") + (
    b"a=crypto:1 AES_CM_128_HMAC_SHA1_80 inline:d0RmdmcmVCspeEc3QGZiNWpVLFJhQX1cfHAwJSoj|2^20|1:4\n"
)
OPUS_OFFER = offer(LOCAL, 1, usable=(OPUS, *G711))
SECURITY = Security(can=True, key=bytes(KEY_BYTES))


@cases(mangled(PHONE, ENCRYPTED, OPUS_OFFER), CHANCES)
def test_any_description_is_agreed_on_or_unusable(body, chance):
    usable = chance.choice([G711, (OPUS, *G711)])
    try:
        media = parse(body)
        agreement = agree(media, usable=usable, security=SECURITY)
    except UnusableError:
        return
    again = parse(answer(media, agreement, LOCAL, 1, SECURITY))
    # As many media in the answer as in the offer, in order (RFC 3264 6).
    assert [medium.kind for medium in again] == [medium.kind for medium in media]
