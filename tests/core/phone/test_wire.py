"""Whatever a peer sends, a stream understands it or counts it."""

import asyncio
import json
import re
from functools import cache

import numpy as np
import pytest
from pipecat.frames.frames import InputAudioRawFrame
from pipecat.processors.frame_processor import FrameProcessorSetup

from agent.transports.phone.wire import MalformedError, Media, Started
from tests.core.phone.calls import STREAMS
from tests.core.phone.providers import SIDES
from tests.core.sip.limits import cases
from tests.core.sip.mangling import CHANCES

WORDS = (
    "event type media dtmf mark start stop payload digit chunk track streamSid stream_sid streamId"
    " callSid mediaFormat media_format encoding sampleRate sample_rate inbound connected name"
    " websocket:connected websocket:dtmf websocket:notify content-type audio/l16;rate=16000"
    " audio/x-mulaw PCMU open ping close update parameters seq position participant ani channels"
    " external format rate conversationId id playedStream clearedAudio PT1.5S 8000 AAAA //8= 1 5 #"
    " extra_headers a=b;c inputVariables pause error message code".split()
)
NUMBERS = (0, 1, -1, 8000, 2**31, -(2**63), 2**64, 0.5, -0.0, 1e300, float("inf"), float("nan"))
LETTERS = 'aZ09 #*:;=/"\\\0\n\x7f\u00b2\u0661\u2028\ud800\U0001f4de'


def text(chance, longest):
    return "".join(chance.choice(LETTERS) for _ in range(chance.randrange(longest + 1)))


def leaf(chance):
    match chance.randrange(6):
        case 0:
            return None
        case 1:
            return chance.choice((True, False))
        case 2:
            return chance.choice(NUMBERS)
        case 3:
            return chance.randint(-(10**6), 10**6)
        case 4:
            return text(chance, 6)
        case _:
            return chance.choice(WORDS)


def value(chance, depth=3):
    """Anything that JSON can hold, in the providers' own words as often as not."""
    kind = chance.randrange(4) if depth else 0
    if kind < 2:
        return leaf(chance)
    if kind == 2:
        return [value(chance, depth - 1) for _ in range(chance.randrange(4))]
    names = (
        chance.choice(WORDS) if chance.randrange(3) else text(chance, 4)
        for _ in range(chance.randrange(7))
    )
    return {name: value(chance, depth - 1) for name in names}


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


def spoilt(chance, messages):
    """A message of the provider's own in which one value is another, or one is missing."""
    tree = json.loads(chance.choice(messages))
    node = tree
    while True:
        name = chance.choice(list(node))
        inner = node[name]
        if isinstance(inner, dict) and inner and chance.randrange(2):
            node = inner
            continue
        if chance.randrange(2):
            node[name] = value(chance)
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


def hostile(chance, messages):
    """What a stranger, or a provider that has changed, may send."""
    match chance.randrange(6):
        case 0:
            return chance.randbytes(chance.randrange(400))
        case 1:
            return text(chance, 60)
        case 2:
            return json.dumps(value(chance))
        case 3:
            message = chance.choice(messages)
            return message[: chance.randint(0, len(message))]
        case 4:
            return mangled(chance.choice(messages), chance)
        case _:
            return spoilt(chance, messages)


@pytest.mark.parametrize("side", SIDES, ids=lambda side: side.name)
def test_nothing_escapes(side):
    started, messages = prepared(side)

    @cases(CHANCES)
    def survives(chance):
        stream = STREAMS[side.name]() if chance.randrange(4) == 0 else started
        feed(stream, hostile(chance, messages))

    survives()


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
