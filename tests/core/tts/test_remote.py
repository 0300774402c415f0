"""A voice elsewhere: where words are put, and what becomes of servers that fail."""

import json

import httpx
import numpy as np
import pytest

from agent.errors import RetryError
from agent.tts.remote import RATE, RemoteVoice, spread


def sound(length_s, quiet_s=0.5):
    quiet = np.zeros(round(quiet_s * RATE), np.int16)
    return np.concatenate([quiet, np.full(round(length_s * RATE), 5000, np.int16), quiet])


def voice(answer):
    asked = []

    def handle(request):
        asked.append(json.loads(request.content))
        return answer

    made = RemoteVoice("http://there/v1/", "tts-1", "alloy", "k")
    made._http = httpx.Client(transport=httpx.MockTransport(handle))
    return made, asked


def test_words_are_spread_over_what_sounds():
    words = spread(["It", "rains", "—", "here."], sound(1.7))
    assert [word.text for word in words] == ["It", "rains", "—", "here."]
    # 3, 6, 1 and 5 parts of 1.7 s, behind half a second of silence.
    assert [round(word.start_s, 2) for word in words] == [0.5, 0.84, 1.52, 1.63]
    assert words[-1].end_s == pytest.approx(2.2)


def test_silence_and_nothing_are_spread_over_as_well():
    assert spread([], sound(1.0)) == ()
    (word,) = spread(["Hush."], np.zeros(RATE, np.int16))
    assert (word.start_s, word.end_s) == (0.0, 1.0)


def test_a_clause_is_one_request():
    made, asked = voice(httpx.Response(200, content=sound(1.0).tobytes()))
    (speech,) = made.speak("It rains.")
    assert len(speech.pcm) == 2 * RATE and speech.sample_rate == RATE
    wanted = {"model": "tts-1", "voice": "alloy", "response_format": "pcm", "input": "It rains."}
    assert asked == [wanted] and made.name == "tts-1/alloy"


def test_what_cannot_be_said_is_not_asked_for():
    made, asked = voice(httpx.Response(400))
    assert list(made.speak(" — ")) == [] and asked == []


@pytest.mark.parametrize(
    "answer", [httpx.Response(500), httpx.Response(401), httpx.Response(200, content=b"x")]
)
def test_a_server_that_fails_is_told(answer):
    made, _ = voice(answer)
    with pytest.raises(RetryError, match="there"):
        list(made.speak("It rains."))
