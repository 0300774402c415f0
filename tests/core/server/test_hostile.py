"""Anything may come from outside; nothing of it may raise what is not expected.

DUPLEX_EXAMPLES=100000 for the long form, as `make nightly` does.
"""

import contextlib
import json
import os
import random
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from starlette.requests import HTTPConnection

from agent.observe.record import TurnRecorder
from agent.processors.client import ClientControl
from agent.processors.listening import Listening
from agent.server.admission import Admission, RefusedError
from agent.settings import ServerSettings
from agent.transports.stream import StreamSerializer
from tests.scenarios.fakes import LoudnessPosterior

EXAMPLES = int(os.environ.get("DUPLEX_EXAMPLES", "200"))
many = settings(max_examples=EXAMPLES, deadline=None)


def finished(coroutine: Coroutine[Any, Any, Any]) -> Any:
    """What a coroutine returns that waits for nothing: a loop for each case takes longer."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    raise AssertionError("it waits")


IS_LONG = EXAMPLES > 10_000
"""Then values are drawn from a seed: Hypothesis takes milliseconds to make one that it could
shrink, and an hour for a hundred thousand."""

WORDS = ("", "a", "text", "root", "é\u0000", "\ud800", "x" * 300, "1", "null", "[", "\r\n", "%s")


def odd(dice: random.Random, depth: int = 0) -> Any:
    """Any value of JSON, odd ones more often than right ones."""
    match dice.randrange(10 if depth < 3 else 7):
        case 0:
            return None
        case 1:
            return dice.random() < 0.5
        case 2:
            return dice.choice((0, 1, -1, 2**70, 10**400, dice.randrange(-1000, 1000)))
        case 3:
            return dice.choice((0.5, -0.0, 1e308, float("inf"), float("nan"), dice.random()))
        case 4 | 5 | 6:
            word = dice.choice(WORDS)
            return word if dice.random() < 0.7 else word + chr(dice.randrange(0xD7FF))
        case 7:
            return [odd(dice, depth + 1) for _ in range(dice.randrange(4))]
        case _:
            return {dice.choice(WORDS): odd(dice, depth + 1) for _ in range(dice.randrange(4))}


def typed(types: Sequence[str], *names: str) -> Callable[[random.Random], Any]:
    """Objects with one of these types, and some of these names; one in four is anything."""

    def make(dice: random.Random) -> Any:
        if dice.random() < 0.25:
            return odd(dice)
        given = {name: odd(dice) for name in names if dice.random() < 0.5}
        return {"type": dice.choice(types), **given}

    return make


def seeded(make: Callable[[random.Random], Any]) -> st.SearchStrategy[Any]:
    """What is made from a seed."""
    return st.integers(0, 2**62).map(lambda seed: make(random.Random(seed)))


KEYS = st.text(max_size=8)
TYPES = ("text", "mute", "played", "interrupt", "push_to_talk", "end", "privacy")
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4),
    max_leaves=8,
)
MESSAGES = JSON | st.fixed_dictionaries(
    {"type": st.sampled_from(TYPES)},
    optional={"text": JSON, "muted": JSON, "samples": JSON, "cleared": JSON, "down": JSON},
)
if IS_LONG:
    JSON = seeded(odd)
    MESSAGES = seeded(typed(TYPES, "text", "muted", "samples", "cleared", "down", "private"))
HEADERS = st.sampled_from(
    ["host", "origin", "authorization", "sec-websocket-protocol", "x-forwarded-for", "cookie"]
)


@many
@given(st.binary(max_size=300) | st.text(max_size=300) | MESSAGES.map(json.dumps))
def test_the_stream_survives_every_message(message):
    serializer = StreamSerializer(16_000)
    frame = finished(serializer.deserialize(message))
    assert frame is None or frame.name


LATIN = st.text(st.characters(max_codepoint=255), max_size=60)


@many
@given(st.lists(st.tuples(HEADERS, LATIN), max_size=5), LATIN, st.booleans())
def test_admission_lets_in_or_refuses_and_nothing_else(headers, query, guarded):
    gate = Admission(ServerSettings(keys="a-key-of-some-length" if guarded else None))
    connection = HTTPConnection(
        {
            "type": "websocket",
            "headers": [(name.encode(), value.encode("latin-1")) for name, value in headers],
            "query_string": query.encode("latin-1"),
            "client": ("192.0.2.1", 5),
            "path": "/",
        }
    )
    try:
        place = gate.enter(connection)
    except RefusedError as refusal:
        assert refusal.status in (401, 403, 429, 503)
    else:
        place.release()
        assert not guarded or b"a-key-of-some-length" in str(headers).encode("latin-1", "ignore")


SDP = """v=0
o=- 1 2 IN IP4 127.0.0.1
s=-
t=0 0
a=group:BUNDLE 0
m=audio 9 UDP/TLS/RTP/SAVPF 111
c=IN IP4 0.0.0.0
a=rtpmap:111 opus/48000/2
a=fmtp:111 minptime=10
a=ice-ufrag:abcd
a=ice-pwd:abcdefghijklmnopqrstuvwx
a=fingerprint:sha-256 AA:BB
a=setup:actpass
a=mid:0
a=sendrecv
a=rtcp-mux
a=candidate:1 1 udp 2130706431 192.0.2.1 50000 typ host
""".replace("\n", "\r\n")


@many
@given(st.lists(st.tuples(st.integers(0, len(SDP)), st.integers(0, 9), LATIN), max_size=4))
def test_an_offers_description_is_read_or_malformed(changes):
    from aiortc.sdp import SessionDescription

    from agent.transports.webrtc import _MALFORMED

    sdp = SDP
    for at, dropped, put in changes:
        sdp = sdp[:at] + put + sdp[at + dropped :]
    with contextlib.suppress(*_MALFORMED):
        SessionDescription.parse(sdp)


@many
@given(JSON)
def test_a_candidate_is_read_or_malformed(item):
    from agent.transports.webrtc import _MALFORMED, _candidate

    with contextlib.suppress(*_MALFORMED):
        _candidate(item)


class Control(ClientControl):
    """Acts on messages, outside a pipeline."""

    async def push_frame(self, frame, direction=None):
        assert frame is not None

    async def broadcast_interruption(self):
        pass


CONTROL = Control(Listening(LoudnessPosterior(), TurnRecorder()), TurnRecorder())


@many
@given(MESSAGES.filter(lambda message: isinstance(message, dict)))
def test_the_data_channel_survives_every_message(message):
    finished(CONTROL._on_message(message))
