"""Our service's messages: what we send byte by byte, and that nothing it sends can hurt."""

import json
import os
import struct

import httpx
import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from agent.asr.cloud import realtime, transcriptions, wire
from agent.asr.cloud.client import CloudLostError, CloudRefusedError, CloudSettings
from agent.asr.cloud.cloud import client_for, stored_clip
from agent.asr.cloud.native import NativeClient
from agent.asr.cloud.realtime import RealtimeClient
from agent.asr.cloud.transcriptions import TranscriptionClient
from agent.asr.hybrid.comparison import confidence, hypothesis_of, same_words
from agent.asr.hypothesis import Word
from agent.errors import SettingsError
from tests.core.server.test_hostile import IS_LONG, odd, seeded

EXAMPLES = int(os.environ.get("DUPLEX_EXAMPLES", "60"))


def test_audio_is_framed_as_documented():
    pcm = np.array([1, -2, 3], np.int16)
    framed = wire.audio(7, 3, 41_600, pcm)
    assert framed[:16] == struct.pack("<IIQ", 7, 3, 41_600)
    assert framed[16:] == b"\x01\x00\xfe\xff\x03\x00"


def test_the_first_message_resumes_and_carries_hints():
    assert json.loads(wire.hello("t-1", "en", ("Zanzibar",))) == {
        "type": "hello",
        "protocol": 1,
        "partials": False,
        "token": "t-1",
        "language": "en",
        "hints": ["Zanzibar"],
    }
    assert json.loads(wire.hello("", "", ())).keys() == {"type", "protocol", "partials"}


def test_a_final_is_understood():
    message = {
        "type": "final",
        "utterance": 1,
        "text": "Hello you.",
        "words": [
            {"text": "Hello", "start_sample": 0, "end_sample": 10, "confidence": 0.5},
            {"text": "you.", "start_sample": 12, "end_sample": 20, "confidence": None},
        ],
        "confidence": None,
        "samples": 35_200,
        "crc32": 17,
        "from_the_future": [1],
    }
    finished = wire.parse(json.dumps(message))
    assert finished.answer.text == "Hello you."
    assert finished.answer.words == (Word("Hello", 0, 10, 0.5), Word("you.", 12, 20, 1.0))
    assert finished.answer.confidence is None
    assert (finished.samples, finished.crc32) == (35_200, 17)


def test_times_that_make_no_sense_leave_the_text():
    for words in ([{"text": "a", "start_sample": 5, "end_sample": 2}], [1], "x", [{"text": "a"}]):
        assert wire.words(words) == ()


_VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-5, 5)
    | st.sampled_from([2**70, 10**400, -(10**400)])
    | st.floats()
    | st.sampled_from(["", "welcome", "final", "error", "ack", "gap", "half \ud800 of a letter"]),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=5,
)
_FIELD_NAMES = (
    *("utterance", "text", "words", "confidence", "samples", "crc32", "token", "resumed"),
    *("utterances", "code", "fatal", "retryable", "sample", "through_sample"),
)
_FIELDS = st.dictionaries(st.sampled_from(_FIELD_NAMES), _VALUES)
_WORD_NAMES = ("text", "word", "start", "end", "start_sample", "end_sample", "confidence")
_WORDS = st.lists(
    st.fixed_dictionaries({}, optional=dict.fromkeys(_WORD_NAMES, _VALUES)), max_size=3
)


def some(dice, names):
    """Some of these fields, with anything in them."""
    return {name: odd(dice) for name in names if dice.random() < 0.7}


if IS_LONG:
    _VALUES = seeded(odd)
    _FIELDS = seeded(lambda dice: some(dice, _FIELD_NAMES))
    _WORDS = seeded(lambda dice: [some(dice, _WORD_NAMES) for _ in range(dice.randrange(4))])


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.sampled_from("welcome ack partial final error going_away pong".split()), _FIELDS)
def test_no_message_of_the_server_raises(kind, fields):
    wire.parse(json.dumps({"type": kind, **fields}))


def written(answer):
    """What becomes of an answer: records, logs, the page and a language model's request hold it."""
    hypothesis = hypothesis_of(answer, 1, 16_000, 8000, 12_000)
    hypothesis.text.encode()
    for word in hypothesis.words:
        word.text.encode()
        assert 16_000 <= word.start_sample <= word.end_sample <= 28_000
        assert 0 <= word.confidence <= 1
    assert 0 <= confidence(hypothesis) <= 1
    same_words(hypothesis.text, answer.text)


@settings(max_examples=EXAMPLES, deadline=None)
@given(_VALUES, _WORDS, _VALUES)
def test_whatever_our_service_heard_can_be_written(text, words, sure):
    message = {"type": "final", "utterance": 1, "text": text, "words": words, "confidence": sure}
    finished = wire.parse(json.dumps({**message, "samples": 1, "crc32": 1}))
    assert (finished is None) != isinstance(text, str)
    if finished:
        written(finished.answer)


@settings(max_examples=EXAMPLES, deadline=None)
@given(_VALUES | st.fixed_dictionaries({"text": _VALUES, "words": _WORDS}))
@example([[[]]] * 3)
def test_whatever_a_transcription_server_says_is_an_answer_or_a_fault(body):
    try:
        written(transcriptions._answer(httpx.Response(200, text=json.dumps(body))))
    except CloudLostError:
        assert not isinstance(body, dict) or not isinstance(body.get("text"), str)


def test_an_answer_as_deep_as_a_well_is_a_fault():
    with pytest.raises(CloudLostError):
        transcriptions._answer(httpx.Response(200, text="[" * 100_000))


class Saying:
    """A socket on which one message comes, and no other."""

    def __init__(self, message):
        self._messages = iter([message])

    def __aiter__(self):
        return self

    async def __anext__(self):
        for message in self._messages:
            return message
        raise StopAsyncIteration


@settings(max_examples=EXAMPLES, deadline=None)
@given(
    st.sampled_from(["conversation.item.input_audio_transcription.completed", "error", "x"]),
    st.fixed_dictionaries({}, optional={"transcript": _VALUES, "error": _VALUES}),
)
def test_whatever_a_realtime_server_says_is_an_answer_or_a_fault(kind, fields):
    answering = realtime._answer(Saying(json.dumps({"type": kind, **fields})))
    try:
        answering.send(None)
    except StopIteration as done:
        written(done.value)
    except (CloudLostError, CloudRefusedError):
        assert kind != "conversation.item.input_audio_transcription.completed" or not isinstance(
            fields.get("transcript"), str
        )
    else:
        raise AssertionError("it waits")


@settings(max_examples=EXAMPLES, deadline=None)
@given(st.text(max_size=40) | st.sampled_from(["[" * 50_000, "null", '{"type": 3}', "1e999"]))
def test_no_text_raises(text):
    wire.parse(text)


@pytest.mark.parametrize(
    ("url", "client"),
    [
        ("ws://127.0.0.1:8010", NativeClient),
        ("wss://asr.example/v1/stream", NativeClient),
        ("wss://api.openai.com/v1/realtime?intent=transcription", RealtimeClient),
        ("https://api.openai.com/v1", TranscriptionClient),
    ],
)
async def test_the_address_chooses_the_protocol(url, client):
    made = client_for(CloudSettings(url))()
    assert isinstance(made, client)
    await made.close()


@pytest.mark.parametrize("url", ["", "asr.example:8010", "ftp://asr.example", "ws:///v1/stream"])
def test_another_address_is_refused_with_the_fix(url):
    with pytest.raises(SettingsError, match="ws://HOST:PORT"):
        client_for(CloudSettings(url))


def test_the_stored_clip_is_speech_of_about_a_second():
    clip = stored_clip()
    assert 0.8 * 16_000 < len(clip) < 2 * 16_000
    assert np.abs(clip).max() > 3000
