import pytest

from agent.transports.sip.addresses import Hop, parse_name_address, parse_uri, parse_via
from agent.transports.sip.dialog import Dialog, extras, response_to, tag_of
from agent.transports.sip.message import Headers, MalformedError, Request, Response, cseq, parse
from agent.transports.sip.referral import status_of
from agent.transports.sip.registration import granted
from agent.transports.sip.transactions import TransactionLayer
from tests.core.sip.limits import cases
from tests.core.sip.mangling import mangled, mangled_text

INVITE = (
    b"INVITE sip:bot@host SIP/2.0\r\n"
    b"v: SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;rport, SIP/2.0/TCP [::1]\r\n"
    b'f: "Smith, \\"J\\"" <sip:j@10.0.0.1>;tag=a\r\n'
    b"t: <sip:bot@host>\r\n"
    b"i: 1@x\r\n"
    b"CSeq: 7\r\n INVITE\r\n"
    b"m: <sip:j@10.0.0.1:5070;ob>\r\n"
    b"l: 4\r\n\r\nbodytrailing"
)


def test_compact_names_folding_and_lists():
    message = parse(INVITE)
    assert isinstance(message, Request) and message.method == "INVITE"
    assert message.headers.all("Via") == [
        "SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;rport",
        "SIP/2.0/TCP [::1]",
    ]
    assert cseq(message) == (7, "INVITE")
    assert message.body == b"body"


def test_what_is_written_is_read_again():
    message = parse(INVITE)
    again = parse(bytes(message))
    assert list(again.headers)[:6] == [h for h in message.headers if h[0] != "Content-Length"][:6]
    assert again.body == message.body


@pytest.mark.parametrize(
    "datagram",
    [
        b"",
        b"\r\n",
        b"GET / HTTP/1.1\r\n\r\n",
        INVITE.replace(b"i: 1@x\r\n", b""),
        INVITE.replace(b"l: 4", b"l: 400"),
        INVITE.replace(b"l: 4", b"l: -4"),
        INVITE.replace(b"SIP/2.0\r\nv", b"SIP/3.0\r\nv"),
        b"SIP/2.0 999 No\r\n" + INVITE.split(b"\r\n", 1)[1],
        INVITE.replace(b"v:", b" :"),
        INVITE.replace(b"SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;rport, SIP/2.0/TCP [::1]", b","),
        b"x" * 70_000,
    ],
)
def test_nonsense_is_malformed(datagram):
    with pytest.raises(MalformedError):
        parse(datagram)


def test_a_line_break_in_a_value_is_refused():
    with pytest.raises(ValueError):
        Headers().add("To", "x\r\nBye: 1")


def test_addresses():
    who = parse_name_address('"Smith, \\"J\\"" <sip:j@10.0.0.1;x=1>;tag=a')
    assert (who.name, who.uri, who.tag) == ('Smith, "J"', "sip:j@10.0.0.1;x=1", "a")
    assert parse_name_address("sip:j@h;tag=b").tag == "b"
    uri = parse_uri("sips:+49%20@[2001:db8::1]:5061;transport=tls?x=y")
    assert (uri.host, uri.port, uri.parameters) == ("2001:db8::1", 5061, {"transport": "tls"})
    assert parse_uri("tel:+4930").user == "+4930"
    via = parse_via("SIP / 2.0 / UDP h:5;branch=q")
    assert (via.transport, via.host, via.port, via.branch) == ("UDP", "h", 5, "q")


@pytest.mark.parametrize(
    "uri", ["", "http://x", "sip:", "sip:a@", "sip:a@h:99999", "sip:a@[::1", "sip:h:5x"]
)
def test_no_uri(uri):
    with pytest.raises(MalformedError):
        parse_uri(uri)


def test_a_port_among_control_characters():
    assert parse_uri("sip:h:\x1f70").port == 70


def test_a_response_repeats_what_it_must():
    request = parse(INVITE)
    response = response_to(request, 180, "Ringing", tag="mine", contact="sip:bot@h")
    assert response.headers.all("Via") == request.headers.all("Via")
    assert response.headers.get("To") == "<sip:bot@host>;tag=mine"
    assert isinstance(parse(bytes(response)), Response)


def test_requests_in_a_dialog_go_by_its_route():
    request = parse(INVITE)
    request.headers.add("Record-Route", "<sip:near;lr>, <sip:far;lr>")
    dialog = Dialog.of_invite(request, "sip:bot@us")
    bye = dialog.request("BYE", Hop("us", 5060))
    assert bye.uri == "sip:j@10.0.0.1:5070;ob"
    assert bye.headers.all("Route") == ["<sip:near;lr>", "<sip:far;lr>"]
    assert dialog.next_hop() == Hop("near", 5060)


RINGING = (
    b"SIP/2.0 183 Session Progress\r\nVia: SIP/2.0/TLS h:5061;branch=z9hG4bK2;received=1.2.3.4\r\n"
    b"From: <sip:a@b>;tag=1\r\nTo: sip:b@c;tag=2\r\nCall-ID: x\r\nCSeq: 1 INVITE\r\n"
    b"Record-Route: <sip:p;lr>, <sip:q;lr>\r\nContact: <sip:b@[::1]:5070>;expires=60\r\n"
    b"Expires: 600\r\nl:0\r\n\r\n"
)
NOTIFY = (
    INVITE.replace(b"INVITE", b"NOTIFY")
    .replace(b"l: 4", b"l: 15")
    .replace(b"bodytrailing", b"SIP/2.0 200 OK\r\n")
)


@cases(mangled(INVITE, INVITE.replace(b"UDP", b"TLS"), RINGING, NOTIFY))
def test_any_bytes_are_a_message_or_malformed(datagram):
    try:
        message = parse(datagram)
        parse(bytes(message))
        if isinstance(message, Request):
            TransactionLayer().receive_request(message, Hop("10.0.0.1", 5060), 0.0)
            Dialog.of_invite(message, "sip:bot@us").next_hop()
            tag_of(message), extras(message), status_of(message.body)
        else:
            TransactionLayer().receive_response(message, 0.0)
            assert 0 <= granted(message, "sip:b@[::1]:5070", 600) <= 600
            Dialog.calling("sip:a@b", "sip:b@c", "sip:a@us").answered_by(message)
    except MalformedError:
        return


ADDRESSES = [
    '"Smith, \\"J\\"" <sip:j@10.0.0.1;x=1>;tag=a',
    "sips:+49%20@[2001:db8::1]:5061;transport=tls?x=y",
    "SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;rport=7;received=10.0.0.2",
    "tel:+49-30;phone-context=x",
]


@cases(mangled_text(*ADDRESSES))
def test_any_text_is_an_address_or_malformed(text):
    for reader in (parse_uri, parse_name_address, parse_via):
        try:
            reader(text)
        except MalformedError:
            continue
