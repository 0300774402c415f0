import pytest

from agent.transports.sip.framing import Framer
from agent.transports.sip.message import MalformedError
from tests.core.sip.limits import cases
from tests.core.sip.mangling import CHANCES, in_pieces, mangled
from tests.core.sip.test_message import INVITE

ONE = b"OPTIONS sip:a SIP/2.0\r\nContent-Length: 4\r\n\r\nbody"
OTHER = b"SIP/2.0 200 OK\r\nl: 0\r\n\r\n"


@pytest.mark.parametrize("size", [1, 7, 1000])
def test_messages_are_cut_out_however_they_come(size):
    stream = b"\r\n" + ONE + OTHER + b"\r\n" + ONE
    framer, messages = Framer(), []
    for i in range(0, len(stream), size):
        messages += framer.push(stream[i : i + size])
    assert messages == [ONE, OTHER, ONE]


def test_a_sign_of_life_is_asked_for_by_two_empty_lines():
    framer = Framer()
    assert framer.push(b"\r\n\r\n") == [] and framer.pings == 1


@pytest.mark.parametrize(
    "stream",
    [b"OPTIONS sip:a SIP/2.0\r\n\r\n", b"A\r\nl: 99999\r\n\r\n", b"x" * 70_000],
    ids=["no length", "too long", "no end"],
)
def test_what_can_never_be_cut_is_refused(stream):
    with pytest.raises(MalformedError):
        Framer().push(stream)


@cases(mangled(ONE + OTHER, OTHER + b"\r\n\r\n" + ONE, INVITE), CHANCES)
def test_any_bytes_are_messages_or_malformed(stream, chance):
    framer = Framer()
    try:
        for piece in in_pieces(chance, stream, 80):
            for message in framer.push(piece):
                assert b"\r\n\r\n" in message
    except MalformedError:
        return
