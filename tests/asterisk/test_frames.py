import pytest

from agent.transports.asterisk.frames import Message, Reader
from agent.transports.asterisk.websocket import AsteriskStream
from agent.transports.phone.wire import Key, MalformedError, Media, Played, Started
from tests.core.sip.limits import cases
from tests.core.sip.mangling import CHANCES, in_pieces, mangled, mangled_text


@cases(CHANCES)
def test_messages_come_out_as_they_went_in_whatever_the_chunks(chance):
    messages = [
        Message(chance.randrange(256), chance.randbytes(chance.randrange(50)))
        for _ in range(chance.randrange(8))
    ]
    reader, read = Reader(), []
    for piece in in_pieces(chance, b"".join(map(bytes, messages)), chance.randint(1, 60)):
        read += reader.push(piece)
    assert read == messages


SOCKET = [bytes(Message(kind, bytes(range(30)))) * 2 for kind in (0, 1, 3, 0x10, 0xFF)]


@cases(mangled(*SOCKET), CHANCES)
def test_any_bytes_are_survived(stream, chance):
    reader = Reader()
    for piece in in_pieces(chance, stream, 40):
        list(reader.push(piece))


PLAIN = (
    "MEDIA_START connection_id:e2 channel:WebSocket/x channel_id:pbx1-1.9 format:ulaw "
    "optimal_frame_size:160 ptime:20"
)
JSON = (
    '{"event": "MEDIA_START", "connection_id": "e2", "channel": "WebSocket/x", "channel_id": "1.9",'
    ' "format": "slin16", "optimal_frame_size": 640, "ptime": 20,'
    ' "channel_variables": {"CALLERID(num)": "030", "EXTEN": "100"}}'
)


def started(text):
    stream = AsteriskStream()
    event = stream.read(text)
    assert isinstance(event, Started)
    return stream, event


def test_plain_text_is_answered_with_plain_text():
    stream, event = started(PLAIN)
    assert (event.call_id, event.encoding, event.sample_rate) == ("pbx1-1.9", "mulaw", 8000)
    assert stream.mark("m1") == "MARK_MEDIA m1"
    assert stream.read("DTMF_END digit:#") == Key("#")
    assert stream.read("MEDIA_MARK_PROCESSED correlation_id:m1") == Played("m1")


async def test_json_is_answered_with_json():
    stream, event = started(JSON)
    assert (event.caller, event.called, event.sample_rate) == ("030", "100", 16000)
    assert stream.mark("m1") == '{"command": "MARK_MEDIA", "correlation_id": "m1"}'
    assert await stream.farewell() == '{"command": "HANGUP"}'
    assert stream.read(b"\0\0") == Media()
    with pytest.raises(MalformedError):
        stream.read(b"\0")


@pytest.mark.parametrize("text", ["", "MEDIA_START", PLAIN.replace("ulaw", "opus"), "{", "[]"])
def test_what_begins_no_call(text):
    try:
        event = AsteriskStream().read(text)
    except MalformedError:
        return
    assert not isinstance(event, Started)


@cases(mangled_text(PLAIN, JSON, "DTMF_END digit:#", "MEDIA_XOFF"), CHANCES)
def test_any_message_is_an_event_or_malformed(message, chance):
    stream = AsteriskStream()
    if start := chance.choice(["", PLAIN, JSON]):
        stream.read(start)
    for data in (message, message.encode()):
        try:
            stream.read(data)
        except MalformedError:
            continue
