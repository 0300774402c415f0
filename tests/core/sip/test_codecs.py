import pytest

from agent.transports.sip.codecs import G711, OPUS, OpusTerms, number, read
from agent.transports.sip.negotiation import Negotiation
from agent.transports.sip.sdp import PLAIN, agree, answer, offer, parse
from tests.core.sip.limits import cases
from tests.core.sip.mangling import mangled_text

LOCAL = ("127.0.0.1", 4000)
ALL = (OPUS, *G711)

LINPHONE = b"""v=0
o=x 1 1 IN IP4 10.0.0.5
s=Talk
c=IN IP4 10.0.0.5
t=0 0
m=audio 7078 RTP/AVP 96 97 98 0 8 101 99
a=rtpmap:96 opus/48000/2
a=fmtp:96 useinbandfec=1; maxplaybackrate=8000; cbr=1; maxaveragebitrate=20000
a=rtpmap:97 speex/16000
a=fmtp:97 vbr=on
a=rtpmap:98 speex/8000
a=rtpmap:101 telephone-event/48000
a=rtpmap:99 telephone-event/8000
"""


def test_opus_is_taken_with_what_the_peer_wants_to_hear():
    agreement = agree(parse(LINPHONE), usable=ALL)
    assert (agreement.codec, agreement.payload_type, agreement.clock_rate) == (OPUS, 96, 48_000)
    assert agreement.terms == OpusTerms(True, True, 20_000, 8_000)
    assert (agreement.event_type, agreement.event_rate) == (101, 48_000), "keys keep Opus' clock"
    written = answer(parse(LINPHONE), agreement, LOCAL, 1).decode()
    assert "m=audio 4000 RTP/AVP 96 101\r\n" in written
    assert "a=rtpmap:96 opus/48000/2\r\na=fmtp:96 maxplaybackrate=16000;" in written
    assert "useinbandfec=1" in written and "stereo=0" in written
    assert "a=rtpmap:101 telephone-event/48000" in written


def test_without_the_library_or_the_wish_g711_it_is():
    agreement = agree(parse(LINPHONE))
    assert (agreement.codec, agreement.event_type, agreement.event_rate) == ("PCMU", 99, 8_000)


def test_keys_of_the_usual_clock_where_a_telephone_has_no_other():
    agreement = agree(parse(LINPHONE.replace(b"event/48000", b"evnt/48000")), usable=ALL)
    assert (agreement.codec, agreement.event_type, agreement.event_rate) == (OPUS, 99, 8_000)


@pytest.mark.parametrize("name", [b"opus/48000", b"opus/16000/2", b"opus/48000/1", b"opus"])
def test_an_opus_that_rfc_7587_does_not_know_is_passed_over(name):
    assert agree(parse(LINPHONE.replace(b"opus/48000/2", name)), usable=ALL).codec == "PCMU"


def test_our_offer_of_opus_is_understood_by_ourselves():
    body = offer(LOCAL, 1, usable=ALL)
    assert b"m=audio 4000 RTP/AVP 96 0 8 101 102\r\n" in body
    theirs = agree(parse(body), usable=ALL)
    assert (theirs.codec, theirs.event_type, theirs.event_rate) == (OPUS, 102, 48_000)
    assert theirs.terms.has_copies and theirs.terms.playback_rate == 16_000
    # As before Opus, for who has none.
    assert b"m=audio 4000 RTP/AVP 0 8 101\r\n" in offer(LOCAL, 1)


def test_a_call_on_g711_stays_on_it_and_one_on_opus_may_leave_it():
    terms = Negotiation(PLAIN, ALL)
    terms.answer(parse(LINPHONE), LOCAL)
    assert b"RTP/AVP 96 0 8 " in terms.offer(LOCAL)
    terms.answered(offer(LOCAL, 1))
    assert terms.agreement.codec == "PCMU" and b"RTP/AVP 0 101\r\n" in terms.offer(LOCAL)


@pytest.mark.parametrize(
    ("text", "terms"),
    [
        ("", OpusTerms()),
        ("useinbandfec=0;cbr=2;stereo", OpusTerms()),
        ("USEINBANDFEC = 1 ;; =;maxplaybackrate=x", OpusTerms(has_copies=True)),
        ("maxaveragebitrate=1", OpusTerms(most_bits_per_s=6000)),
        ("maxaveragebitrate=99999999999;useinbandfec=\u0661", OpusTerms()),
    ],
)
def test_parameters_that_make_no_sense_change_nothing(text, terms):
    assert read(text) == terms


@cases(mangled_text("useinbandfec=1; maxplaybackrate=8000; cbr=1; maxaveragebitrate=20000"))
def test_any_parameters_are_terms(text):
    assert read(text).most_bits_per_s >= 6000


@cases(mangled_text("96", "0", "127"))
def test_any_payload_type_is_a_number_or_none(text):
    assert number(text) is None or 0 <= number(text) < 128
