"""Bytes from strangers: every message is read or refused, and nothing else."""

import json
import os
import struct

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.parakeet import g711, kserve, wire
from agent.parakeet.engine import (
    EndpointKind,
    Facts,
    Failure,
    FailureKind,
    ModelEndpoint,
    Options,
    Transcript,
    Update,
    Word,
)
from agent.parakeet.errors import BadInputError
from agent.parakeet.native.messages import (
    Audio,
    BadMessageError,
    Wishes,
    read_audio,
    read_deadline,
    read_samples,
    read_text,
    read_utterance,
    read_wishes,
    write_audio,
)
from agent.parakeet.realtime.settings import Configuration, EventError

EXAMPLES = int(os.environ.get("DUPLEX_EXAMPLES", "40"))

anything = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4)
    | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)

fields = st.dictionaries(
    st.sampled_from(
        ["type", "utterance", "samples", "language", "hints", "words", "partials", "deadline_s"]
    ),
    anything,
)


class TestNative:
    def test_audio_survives_the_wire(self):
        audio = Audio(7, 3, 1 << 40, b"\x01\x02\x03\x04")
        assert read_audio(write_audio(audio)) == audio

    @pytest.mark.parametrize(
        "message",
        [b"", bytes(15), bytes(17), struct.pack("<IIQ", 0, 1, 0), bytes(16 + 320_002)],
        ids=["empty", "short", "half a sample", "utterance 0", "too long"],
    )
    def test_bad_audio_is_refused(self, message):
        with pytest.raises(BadMessageError):
            read_audio(message)

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.binary(max_size=64))
    def test_any_bytes_are_read_or_refused(self, message):
        try:
            audio = read_audio(message)
        except BadMessageError:
            return
        assert write_audio(audio) == message

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(st.text(max_size=60) | anything.map(json.dumps))
    def test_any_text_is_read_or_refused(self, text):
        try:
            message = read_text(text)
        except BadMessageError:
            return
        assert isinstance(message["type"], str)

    @settings(max_examples=EXAMPLES, deadline=None)
    @given(fields)
    def test_any_fields_are_read_or_refused(self, message):
        for read in (
            read_utterance,
            read_samples,
            lambda one: read_deadline(one, 10.0),
            lambda one: read_wishes(one, Wishes()),
        ):
            try:
                read(message)
            except BadMessageError:
                continue

    def test_what_begin_leaves_out_is_as_in_hello(self):
        hello = read_wishes({"language": "en", "hints": ["Zanzibar"], "words": False}, Wishes())
        begin = read_wishes({"language": "fr"}, hello)
        assert begin == Wishes("fr", ("Zanzibar",), words=False, partials=True)

    def test_nested_json_is_no_crash(self):
        with pytest.raises(BadMessageError):
            read_text("[" * 100_000)


class TestRealtime:
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(
        st.fixed_dictionaries(
            {},
            optional={
                "audio": anything
                | st.fixed_dictionaries(
                    {},
                    optional={
                        "input": st.fixed_dictionaries(
                            {},
                            optional={
                                "format": anything,
                                "transcription": anything,
                                "turn_detection": anything,
                            },
                        )
                    },
                ),
                "include": anything,
            },
        )
    )
    def test_any_session_is_taken_or_refused(self, session):
        try:
            found = Configuration().updated(session)
        except EventError:
            return
        json.dumps(found.described())

    def test_what_pipecat_sends(self):
        session = {
            "type": "transcription",
            "audio": {
                "input": {
                    "format": {"type": "audio/pcm", "rate": 24_000},
                    "transcription": {"model": "m", "language": "en-GB", "keywords": ["Ada"]},
                    "turn_detection": None,
                    "noise_reduction": {"type": "near_field"},
                }
            },
        }
        found = Configuration().updated(session)
        assert (found.language, found.model, found.hints, found.vad) == ("en", "m", ("Ada",), None)

    def test_turn_detection_has_openais_defaults(self):
        session = {"audio": {"input": {"turn_detection": {"type": "server_vad"}}}}
        vad = Configuration(vad=None).updated(session).vad
        assert (vad.threshold, vad.prefix_padding_s, vad.silence_s) == (0.5, 0.3, 0.5)


class TestTelephone:
    """Against values of ITU-T G.711's tables."""

    def test_mu_law(self):
        codes = bytes([0x00, 0x7F, 0x80, 0xFF, 0x0F])
        assert g711.decode(codes, "audio/pcmu").tolist() == [-32124, 0, 32124, 0, -16764]

    def test_a_law(self):
        codes = bytes([0xD5, 0x55, 0xAA, 0x2A])
        assert g711.decode(codes, "audio/pcma").tolist() == [8, -8, 32256, -32256]


class TestInference:
    @settings(max_examples=EXAMPLES, deadline=None)
    @given(
        anything.map(json.dumps)
        | st.fixed_dictionaries(
            {
                "inputs": st.lists(
                    st.fixed_dictionaries(
                        {
                            "name": st.just("AUDIO"),
                            "datatype": st.sampled_from(["INT16", "FP32", "BYTES"]),
                            "shape": anything,
                            "data": anything,
                        },
                        optional={"parameters": anything},
                    ),
                    max_size=2,
                )
            }
        ).map(json.dumps),
        st.none() | st.sampled_from(["0", "7", "99999", "x", "-1"]),
    )
    def test_any_request_is_read_or_refused(self, body, header_length):
        try:
            _, pcm = kserve.read(body.encode(), header_length)
        except BadInputError:
            return
        assert pcm.dtype == np.int16
        assert pcm.ndim == 1


class TestWire:
    def test_what_a_worker_says_is_what_the_front_hears(self):
        update = Update(
            Transcript("hello", (Word("hello", 0, 8000, 0.5),), 0.5, "en"),
            8000,
            endpoints=(ModelEndpoint(EndpointKind.EOU, 8000),),
        )
        told = json.loads(json.dumps(wire.update_to(update)))
        assert wire.update_from(told) == update
        failure = Failure(FailureKind.TOO_LONG, "no room")
        assert wire.result_from(wire.result_to(failure)) == failure

    def test_facts_and_options_survive(self):
        from dataclasses import asdict

        facts = Facts("fake", "m", "cpu", max_batch_s2=float("inf"), languages=("en", "fr"))
        assert wire.facts_from(json.loads(json.dumps(asdict(facts)))) == facts
        options = Options("fr", ("a", "b"), words=False)
        assert wire.options_from(json.loads(json.dumps(wire.options_to(options)))) == options

    def test_what_is_no_frame_is_found_out(self):
        with pytest.raises(wire.WireError):
            wire.lengths(b"GET / HT")
        with pytest.raises(wire.WireError):
            wire.decode(b"\xff")
        with pytest.raises(wire.WireError):
            wire.decode(b"[]")
