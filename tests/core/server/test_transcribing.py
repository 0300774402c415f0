"""`/v1/audio/transcriptions` with scripted ears. The SDK and real ears: tests/wiring."""

import io

import numpy as np
import pytest
import soundfile

from agent.asr.hybrid.core import HybridSettings
from agent.asr.hybrid.events import Mode
from agent.asr.hybrid.recogniser import Sides
from tests.core.server.audio_routes import client
from tests.scenarios.fakes import speech_like

WORDS = [("It", 1.0, 1.2), ("rains.", 1.2, 1.8)]


def recording():
    track = np.concatenate(
        [np.zeros(16_000, np.int16), speech_like(1.0), np.zeros(24_000, np.int16)]
    )
    file = io.BytesIO()
    soundfile.write(file, np.stack([track, track], 1), 16_000, format="WAV")
    return file.getvalue()


async def ask(data=None, words=WORDS, real=None, **fields):
    async with client(words=words, **(real or {})) as line:
        return await line.post(
            "/v1/audio/transcriptions",
            files={"file": ("a.wav", recording() if data is None else data)},
            data={"model": "duplex", **fields},
        )


async def test_the_text_comes_as_it_is_asked_for():
    assert (await ask()).json() == {
        "text": "It rains.",
        "usage": {"type": "duration", "seconds": 4},
    }
    assert (await ask(response_format="text")).text == "It rains.\n"


async def test_words_have_their_times():
    fields = {"response_format": "verbose_json", "timestamp_granularities[]": "word"}
    told = (await ask(**fields)).json()
    assert told["duration"] == 3.5 and "segments" not in told
    assert told["words"] == [
        {"word": "It", "start": 1.0, "end": 1.2},
        {"word": "rains.", "start": 1.2, "end": 1.8},
    ]
    (segment,) = (await ask(response_format="verbose_json")).json()["segments"]
    assert (segment["text"], segment["start"], segment["end"]) == ("It rains.", 1.0, 1.8)


async def test_silence_says_nothing():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(16_000, np.int16), 16_000, format="FLAC")
    told = (await ask(file.getvalue(), response_format="verbose_json")).json()
    assert told["text"] == "" and told["segments"] == []


@pytest.mark.parametrize(
    ("data", "fields", "why"),
    [
        (b"no sound", {}, "not a sound file"),
        (b"", {}, "not a sound file"),
        (None, {"response_format": "srt"}, "response_format is one of json"),
        (None, {"stream": "true"}, "/v1/realtime"),
    ],
)
async def test_what_cannot_be_had_is_refused(data, fields, why):
    refused = await ask(data, **fields)
    assert refused.status_code == 400 and why in refused.json()["error"]["message"]


async def test_a_recording_that_is_too_long_is_refused_before_it_is_read():
    file = io.BytesIO()
    soundfile.write(file, np.zeros(8_000 * 1801, np.int16), 8_000, format="FLAC")
    refused = await ask(file.getvalue())
    assert refused.status_code == 400 and "at most 1800 s" in refused.json()["error"]["message"]


async def test_a_form_without_a_file_is_refused():
    async with client() as line:
        refused = await line.post("/v1/audio/transcriptions", data={"model": "duplex"})
        assert refused.status_code == 400 and "no file" in refused.json()["error"]["message"]


async def test_ears_elsewhere_are_asked_there():
    refused = await ask(real={"recogniser": lambda: Sides(None, None, HybridSettings(Mode.CLOUD))})
    assert refused.status_code == 501
