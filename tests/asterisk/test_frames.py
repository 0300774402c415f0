import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.transports.asterisk.frames import Message, Reader
from agent.transports.asterisk.websocket import AsteriskStream
from agent.transports.phone.wire import Key, MalformedError, Media, Played, Started
from tests.core.sip.limits import cases

MESSAGES = st.lists(st.builds(Message, st.integers(0, 255), st.binary(max_size=50)), max_size=10)


@cases
@given(MESSAGES, st.lists(st.integers(1, 40), min_size=1, max_size=20))
def test_messages_come_out_as_they_went_in_whatever_the_chunks(messages, sizes):
    data = b"".join(map(bytes, messages))
    reader, read, at = Reader(), [], 0
    for i in range(len(data)):
        size = sizes[i % len(sizes)]
        read += reader.push(data[at : at + size])
        at += size
    assert read == messages


@cases
@given(st.lists(st.binary(max_size=200), max_size=10))
def test_any_bytes_are_survived(chunks):
    reader = Reader()
    for chunk in chunks:
        list(reader.push(chunk))


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


@cases
@given(st.text(max_size=80) | st.binary(max_size=40), st.sampled_from([None, PLAIN, JSON]))
def test_any_message_is_an_event_or_malformed(message, start):
    stream = AsteriskStream()
    if start:
        stream.read(start)
    try:
        stream.read(message)
    except MalformedError:
        return
