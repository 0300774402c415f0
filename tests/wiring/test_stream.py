"""The plain stream's parser: whatever a client sends, the conversation goes on."""

import asyncio
import json

from hypothesis import given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageUrgentFrame,
)

from agent.transports.stream import MAX_AUDIO, MAX_TEXT, StreamSerializer


def deserialized(*messages):
    serializer = StreamSerializer(16_000)

    async def run():
        return [await serializer.deserialize(message) for message in messages]

    return serializer, asyncio.run(run())


def serialized(frame):
    return asyncio.run(StreamSerializer(16_000).serialize(frame))


def test_audio_arrives_as_it_was_sent():
    _, (frame,) = deserialized(b"\x01\x02\x03\x04")
    assert isinstance(frame, InputAudioRawFrame)
    assert (frame.audio, frame.sample_rate) == (b"\x01\x02\x03\x04", 16_000)


def test_a_sample_split_across_messages_is_joined():
    _, frames = deserialized(b"\x01", b"\x02\x03", b"\x04")
    assert b"".join(frame.audio for frame in frames if frame) == b"\x01\x02\x03\x04"


def test_json_arrives_as_a_message():
    _, (frame,) = deserialized('{"type": "interrupt"}')
    assert isinstance(frame, InputTransportMessageFrame)
    assert frame.message == {"type": "interrupt"}


def test_what_cannot_be_understood_is_counted():
    bad = ["", "{", "[]", "1", "null", '"x"', "[" * 100_000, "a" * (MAX_TEXT + 1)]
    serializer, frames = deserialized(*bad, b"\0" * (MAX_AUDIO + 2))
    assert frames == [None] * 9
    assert serializer.malformed == 9


@settings(max_examples=2000, deadline=None)
@given(st.one_of(st.binary(max_size=64), st.text(max_size=64)))
def test_nothing_raises(message):
    deserialized(message)


_JSON = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=10,
)


@settings(max_examples=500, deadline=None)
@given(_JSON)
def test_any_json_is_a_message_or_nothing(value):
    _, (frame,) = deserialized(json.dumps(value))
    assert (frame is not None) == isinstance(value, dict)


def test_events_leave_as_json_and_audio_as_bytes():
    event = {"type": "transcript", "text": "Łódź"}
    assert json.loads(serialized(OutputTransportMessageUrgentFrame(message=event))) == event
    audio = OutputAudioRawFrame(audio=b"\1\2", sample_rate=16_000, num_channels=1)
    assert serialized(audio) == b"\1\2"
    assert serialized(InterruptionFrame()) is None
