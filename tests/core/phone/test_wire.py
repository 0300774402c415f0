"""Whatever a peer sends, a stream understands it or counts it."""

import asyncio
import json
import os
import random
import re
from functools import cache

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from pipecat.frames.frames import InputAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessorSetup

from agent.transports.phone.wire import MalformedError, Media, Started
from tests.core.phone.calls import STREAMS
from tests.core.phone.providers import SIDES

EXAMPLES = int(os.environ.get("DUPLEX_EXAMPLES", "40"))
"""Per parser and test. Before a release: DUPLEX_EXAMPLES=100000 pytest tests/core/phone."""

fuzz = settings(
    max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck), database=None
)

WORDS = st.sampled_from(
    "event type media dtmf mark start stop payload digit chunk track streamSid stream_sid streamId"
    " callSid mediaFormat media_format encoding sampleRate sample_rate inbound connected name"
    " websocket:connected websocket:dtmf websocket:notify content-type audio/l16;rate=16000"
    " audio/x-mulaw PCMU open ping close update parameters seq position participant ani channels"
    " external format rate conversationId id playedStream clearedAudio PT1.5S 8000 AAAA //8= 1 5 #"
    " extra_headers a=b;c inputVariables pause error message code".split()
)
LEAF = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=6) | WORDS
VALUE = st.recursive(
    LEAF,
    lambda inner: st.lists(inner, max_size=3)
    | st.dictionaries(WORDS | st.text(max_size=4), inner, max_size=6),
    max_leaves=12,
)


class _Setup:
    audio_in_sample_rate = 16_000
    audio_out_sample_rate = 8_000


def begun(side):
    """A stream that has started, and its provider's side."""
    provider, stream = side(), STREAMS[side.name]()
    for message in provider.begin():
        event = stream.read(message)
        answer(stream, message)
    assert isinstance(event, Started)
    setup: FrameProcessorSetup = _Setup()
    asyncio.run(stream.serializer.setup(setup))
    return stream, provider


def answer(stream, data):
    coroutine = stream.reply(data)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a parser must not wait")


def decode(stream, data):
    coroutine = stream.serializer.deserialize(data)
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("a parser must not wait")


def feed(stream, data):
    """What the transport does with a message; only `MalformedError` may come of it."""
    try:
        event = stream.read(data)
    except MalformedError:
        return None
    answer(stream, data)
    if isinstance(event, Media):
        frame = decode(stream, data)
        assert frame is None or len(frame.audio) % 2 == 0
    return event


def spoilt(messages, draw):
    """A message of the provider's own in which one value is another, or one is missing."""
    tree = json.loads(draw(st.sampled_from(messages)))
    node, names = tree, list(tree)
    while True:
        name = draw(st.sampled_from(names))
        inner = node[name]
        if isinstance(inner, dict) and inner and draw(st.booleans()):
            node, names = inner, list(inner)
            continue
        if draw(st.booleans()):
            node[name] = draw(VALUE)
        else:
            del node[name]
        return json.dumps(tree)


@cache
def prepared(side):
    """A stream that has started, and messages as its provider sends them."""
    stream, provider = begun(side)
    marks = [provider.played("0.800")] if provider.has_marks else []
    media = provider.media(np.zeros(80, np.int16))
    texts = [media] if isinstance(media, str) else []
    return stream, [*side().begin(), provider.key("5"), *provider.end(), *marks, *texts]


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)
@fuzz
@given(data=st.data())
def test_nothing_escapes(side, data):
    stream, messages = prepared(side)
    kind = data.draw(st.sampled_from(["bytes", "text", "json", "spoilt", "cut", "fresh"]))
    if kind == "bytes":
        feed(stream, data.draw(st.binary(max_size=400)))
    elif kind == "text":
        feed(stream, data.draw(st.text(max_size=60)))
    elif kind == "json":
        feed(stream, json.dumps(data.draw(VALUE)))
    elif kind == "spoilt":
        feed(stream, spoilt(messages, data.draw))
    elif kind == "cut":
        message = data.draw(st.sampled_from(messages))
        feed(stream, message[: data.draw(st.integers(0, len(message)))])
    else:
        feed(STREAMS[side.name](), spoilt(messages, data.draw))


_TOKENS = (
    "null",
    "[]",
    "{}",
    "-1",
    "1e999",
    '""',
    '"A"',
    "true",
    '"\\ud800"',
    "9" * 30,
    "[[[[",
    "}",
)


def mangled(message, chance):
    """The message with a few tokens or characters replaced, dropped or doubled."""
    parts = re.findall(r'"[^"]*"|[\d.]+|.', message)
    for _ in range(chance.randint(1, 3)):
        at = chance.randrange(len(parts))
        match chance.randrange(4):
            case 0:
                parts[at] = chance.choice(_TOKENS)
            case 1:
                parts[at] = ""
            case 2:
                parts[at] *= chance.choice((2, 50))
            case _:
                parts[at] = chance.choice(parts)
    return "".join(parts)


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)
def test_nothing_escapes_of_mangled_messages(side):
    stream, messages = prepared(side)
    chance = random.Random(1)
    for _ in range(5 * EXAMPLES if EXAMPLES < 1000 else EXAMPLES):
        message = mangled(chance.choice(messages), chance)
        feed(stream if chance.random() < 0.7 else STREAMS[side.name](), message)
        if not isinstance(side().media(np.zeros(2, np.int16)), str):
            feed(stream, chance.randbytes(chance.randrange(9)))


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)
def test_a_start_says_who_calls(side):
    stream, provider = begun(side)
    started = stream.started
    assert started is not None
    assert (started.call_id, started.sample_rate) == (provider.call_id, provider.rate)
    if side.name in ("telnyx", "exotel", "vonage", "genesys"):
        assert started.caller == "+491701234567" and started.called == "+493012345678"
    else:
        assert dict(started.headers)


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)
def test_a_packet_is_heard_as_it_was_said(side):
    stream, provider = begun(side)
    pcm = (8000 * np.sin(np.arange(provider.rate // 50) / 5)).astype(np.int16)
    message = provider.media(pcm)
    assert isinstance(stream.read(message), Media)
    frame = decode(stream, message)
    assert isinstance(frame, InputAudioRawFrame) and frame.sample_rate == provider.rate
    heard = np.frombuffer(frame.audio, np.int16)
    assert np.abs(heard.astype(int) - pcm).max() <= (0 if len(message) == len(pcm) * 2 else 260)


def test_too_much_in_one_message_is_refused():
    for side in SIDES:
        stream, _ = begun(side)
        for data in ("x" * 65_537, b"x" * 65_537):
            with pytest.raises(MalformedError):
                stream.read(data)


def test_a_second_start_changes_nothing():
    for side in SIDES:
        stream, provider = begun(side)
        before = stream.started
        with pytest.raises(MalformedError):
            stream.read(type(provider)().begin()[-1])
        assert stream.started is before
