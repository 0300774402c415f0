"""What clients of other protocols, providers and strangers send raises nothing unexpected.

DUPLEX_EXAMPLES=100000 for the long form, as `make nightly` does.
"""

import io
import os
import random
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pipecat.frames.protobufs import frames_pb2

from agent.audio.chunk import Int16Array
from agent.errors import AudioFormatError
from agent.server.tickets import Tickets
from agent.server.transcribing import _decoded
from agent.settings import PhoneSettings
from agent.transports.phone.webhooks import Request, WebhookGate, gates
from agent.transports.phone.wire import MalformedError
from agent.transports.rtvi import RtviSerializer
from agent.transports.rtvi_messages import LABEL, RtviProtocol
from tests.core.server.test_hostile import (
    IS_LONG,
    JSON,
    LATIN,
    MESSAGES,
    finished,
    odd,
    seeded,
    typed,
)

many = settings(max_examples=int(os.environ.get("DUPLEX_EXAMPLES", "200")), deadline=None)


def mangled(data: bytes, changes: list[tuple[int, int, bytes]]) -> bytes:
    """Cut out and put in, here and there."""
    for at, dropped, put in changes:
        at %= len(data) + 1
        data = data[:at] + put + data[at + dropped :]
    return data


CHANGES = st.lists(
    st.tuples(st.integers(0, 10_000), st.integers(0, 9), st.binary(max_size=9)), max_size=4
)
RTVI = JSON | st.fixed_dictionaries(
    {
        "label": st.just(LABEL),
        "type": st.sampled_from(["client-ready", "send-text", "client-message", "disconnect-bot"]),
    },
    optional={
        "id": JSON,
        "data": JSON
        | st.fixed_dictionaries({}, optional={"t": JSON, "d": JSON | MESSAGES, "content": JSON}),
    },
)

if IS_LONG:
    KINDS = ("client-ready", "send-text", "client-message", "disconnect-bot", "dance")
    OURS = ("text", "interrupt", "push_to_talk", "mute", "dance")

    def rtvi(dice: random.Random) -> Any:
        """A message of RTVI's, more or less."""
        message = typed(KINDS, "id", "data")(dice)
        if not isinstance(message, dict):
            return message
        if dice.random() < 0.7:
            right = {"t": dice.choice(OURS), "content": "Hello?", "d": {"text": "Hello?"}}
            message["data"] = {
                name: odd(dice) if dice.random() < 0.3 else value for name, value in right.items()
            }
        return message | {"label": odd(dice) if dice.random() < 0.1 else LABEL}

    RTVI = seeded(rtvi)


@many
@given(RTVI)
@example({"label": LABEL, "type": "client-message", "id": "1", "data": {"t": []}})
def test_rtvi_is_answered_or_understood(message):
    answers, ours = RtviProtocol("x", str).read(message)
    assert answers or ours


AUDIO = frames_pb2.Frame(
    audio=frames_pb2.AudioRawFrame(audio=bytes(32), sample_rate=16_000, num_channels=1)
).SerializeToString()
TEXT = frames_pb2.Frame(
    message=frames_pb2.MessageFrame(data='{"label": "rtvi-ai", "type": "client-ready", "id": "1"}')
).SerializeToString()


@many
@given(
    st.binary(max_size=60)
    | st.text(max_size=60)
    | st.builds(mangled, st.sampled_from([AUDIO, TEXT]), CHANGES)
)
@example(frames_pb2.Frame(audio=frames_pb2.AudioRawFrame(audio=bytes(2))).SerializeToString())
def test_rtvis_frames_are_read_or_ignored(data):
    frame = finished(RtviSerializer(RtviProtocol("x", str)).deserialize(data))
    assert frame is None or frame.name


@many
@given(st.lists(LATIN | st.booleans(), max_size=8))
def test_a_ticket_is_good_once_and_no_word_else_is(tried):
    tickets: Tickets[int] = Tickets(ttl_s=60.0)
    ours = [tickets.issue(i, 0.0) for i, word in enumerate(tried) if word is True]
    for word in tried:
        if isinstance(word, str):
            assert tickets.redeem(word, 1.0) is None
    assert [tickets.redeem(word, 1.0) for word in ours] == [
        i for i, word in enumerate(tried) if word is True
    ]
    assert all(tickets.redeem(word, 1.0) is None for word in ours)


SECRET = {"auth_token": "a"}
GATES = gates(
    PhoneSettings.model_validate(
        {
            "twilio": SECRET,
            "plivo": SECRET,
            "telnyx": {"public_key": "A6EHv/POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg="},
            "exotel": {"user": "a", "password": "b"},
            "vonage": {"signature_secret": "c"},
            "genesys": {"api_key": "d", "client_secret": "TXlT"},
            "public_url": "https://voice.example",
        }
    )
)
SIGNED = [
    "x-twilio-signature",
    "x-plivo-signature-v3",
    "x-plivo-signature-v3-nonce",
    "telnyx-timestamp",
    "telnyx-signature-ed25519",
    "authorization",
    "signature",
    "signature-input",
    "x-api-key",
]
SIGNATURES = st.text(st.characters(max_codepoint=255), max_size=60) | st.sampled_from(
    ["Basic YTpi", "Bearer a.b.c", "Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "1700000000", "sig1=:AA==:"]
)
FORM = b"CallSid=CA1&CallUUID=U1&From=%2B1&To=%2B2"
BODIES = (
    st.builds(mangled, st.sampled_from([FORM, b'{"uuid": "a", "from": "1", "to": "2"}']), CHANGES)
    | st.binary(max_size=80)
    | st.just(b"a=b&" * 300)
)


@pytest.mark.parametrize("name", sorted(GATES))
def test_a_strangers_webhook_is_refused_and_a_broken_one_malformed(name):
    gate = GATES[name]

    @many
    @given(st.dictionaries(st.sampled_from(SIGNED), SIGNATURES, max_size=4), BODIES, LATIN)
    def every(headers, body, query):
        if gate.__class__.__name__ == "ExotelGate":
            query = body.decode("latin-1")
        target = f"/phone/{name}/answer?{query}"
        asked = Request(
            f"https://voice.example{target}", "voice.example", target, query, headers, body
        )
        assert gate.admits_stream(asked, 1_700_000_000.0) in (True, False)
        if not isinstance(gate, WebhookGate):
            return
        admitted = gate.admits(asked, 1_700_000_000.0)
        assert not admitted or name == "exotel"
        try:
            facts = gate.facts(asked)
        except MalformedError:
            return
        assert facts.id and gate.documents.stream("wss://voice.example/x", facts).body

    every()


def wave(rate: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.zeros(200, np.int16), rate, format="WAV")
    return file.getvalue()


@many
@given(st.builds(mangled, st.sampled_from([wave(8_000), wave(44_100)]), CHANGES) | st.binary())
def test_a_recording_is_read_or_refused(data):
    try:
        pcm: Int16Array = _decoded(data)
    except (ValueError, AudioFormatError):
        return
    assert pcm.dtype == np.int16
