"""`/v1/audio/speech` with a voice that says tones. The SDK and a real voice: tests/wiring."""

import io

import numpy as np
import pytest
import soundfile

from tests.core.server.audio_routes import client
from tests.scenarios.fakes import SteadyVoice

TEXT = "It rains."


async def ask(speaker=None, **fields):
    async with client(voice=speaker or SteadyVoice()) as line:
        return await line.post("/v1/audio/speech", json={"input": TEXT, **fields})


async def test_wav_and_pcm_are_the_voice_itself():
    (spoken,) = SteadyVoice().speak(TEXT)
    pcm = await ask(response_format="pcm")
    assert pcm.content == spoken.pcm.tobytes()
    wav = await ask(response_format="wav", voice="alloy")
    assert wav.headers["content-type"] == "audio/wav"
    signal, rate = soundfile.read(io.BytesIO(wav.content[44:]), dtype="int16", **RAW)
    assert rate == 24_000 and np.array_equal(signal, spoken.pcm)


RAW = {"format": "RAW", "subtype": "PCM_16", "channels": 1, "samplerate": 24_000}


@pytest.mark.parametrize("kind", ["mp3", "flac", "opus"])
async def test_what_is_encoded_lasts_as_long(kind):
    made = await ask(response_format=kind)
    signal, rate = soundfile.read(io.BytesIO(made.content))
    assert abs(len(signal) / rate - 0.8) < 0.1


async def test_another_rate_becomes_openais():
    voice = SteadyVoice()
    voice.sample_rate = 12_000
    made = await ask(voice, response_format="pcm")
    (spoken,) = voice.speak(TEXT)
    assert abs(len(made.content) // 2 - 2 * len(spoken.pcm)) < 50


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"input": "  "}, "input is the text"),
        ({"input": 7}, "input is the text"),
        ({"input": "a" * 4097}, "at most 4096"),
        ({"response_format": "aac"}, "response_format is one of wav"),
        ({"voice": "nobody"}, "speaks as steady"),
        ({"speed": 2}, "speed must be 1"),
        ({"stream_format": "sse"}, "stream_format"),
    ],
)
async def test_what_cannot_be_had_is_refused_in_openais_words(fields, why):
    refused = await ask(**fields)
    error = refused.json()["error"]
    assert refused.status_code == 400 and error["type"] == "invalid_request_error"
    assert why in error["message"]


async def test_what_is_no_request_is_refused():
    async with client() as line:
        for body in (b"", b"[", b"[]", b"\xff", b"[" * 50_000):
            assert (await line.post("/v1/audio/speech", content=body)).status_code == 400
        too_long = await line.post("/v1/audio/speech", content=bytes(70_000))
        assert too_long.status_code == 413
