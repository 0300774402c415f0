"""Whoever asks wrongly hears what is wrong, in the words of the protocol they speak."""

import json

import pytest
from openai import NotFoundError, OpenAI
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus

from tests.parakeet.server import tone, wav

TRANSCRIPTIONS = "/v1/audio/transcriptions"


def told(answer):
    """The message of an error as OpenAI writes it."""
    error = answer.json()["error"]
    assert error["type"] == "invalid_request_error"
    assert error["code"]
    return error["message"]


@pytest.mark.parametrize(
    ("method", "path", "status", "says"),
    [
        ("GET", "/", 404, "POST /v1/audio/transcriptions"),
        ("POST", "/v1/audio/translations", 404, "there is no /v1/audio/translations"),
        ("GET", TRANSCRIPTIONS, 405, "GET does not work"),
        ("GET", "/v1/realtime", 426, "is a WebSocket"),
        ("GET", "/v1/stream", 426, "is a WebSocket"),
        ("GET", "/v1/models/whisper-1", 404, "there is fake"),
    ],
)
def test_a_wrong_address_is_told_what_is_there(plain, method, path, status, says):
    answer = plain.http.request(method, path)
    assert answer.status_code == status
    assert says in told(answer)


def test_kserve_hears_of_a_wrong_address_as_its_clients_read_it(plain):
    answer = plain.http.get("/v2/models/asr/infer")
    assert answer.status_code == 405
    assert "GET does not work" in answer.json()["error"]


def test_the_sdk_finds_the_model_by_its_name_and_no_other(plain):
    client = OpenAI(base_url=f"{plain.url}/v1", api_key="any", max_retries=0)
    assert client.models.retrieve("fake").id == "fake"
    with pytest.raises(NotFoundError, match="there is fake"):
        client.models.retrieve("whisper-1")


@pytest.mark.parametrize(
    ("request_", "says"),
    [
        ({}, "send multipart/form-data with a part 'file', not nothing"),
        ({"json": {"file": "a.wav"}}, "not application/json"),
        ({"content": wav(tone(1))[1], "headers": {"Content-Type": "audio/wav"}}, "not audio/wav"),
        ({"files": {"model": (None, "whisper-1")}}, "'file' is missing"),
        ({"files": {"file": (None, "a.wav")}}, "it needs a file name"),
        ({"files": {"file": ("a.wav", b"")}}, "the file is empty"),
        ({"content": b"--", "headers": {"Content-Type": "multipart/form-data"}}, "boundary"),
        ({"files": {"file": wav(tone(1))}, "data": {"stream": "maybe"}}, "stream is true or false"),
    ],
)
def test_a_wrong_upload_is_told_what_is_wanted(plain, request_, says):
    answer = plain.http.post(TRANSCRIPTIONS, **request_)
    assert answer.status_code == 400
    assert says in told(answer)


def test_what_is_no_sound_is_told_without_our_insides(plain):
    answer = plain.http.post(TRANSCRIPTIONS, files={"file": ("a.wav", b"hello")})
    assert "Format not recognised" in told(answer)
    assert "object at" not in told(answer)


@pytest.mark.parametrize(
    "wrong",
    [
        {"parameters": [1]},
        {"parameters": 3},
        {"parameters": {"hints": ["Zanzibar"]}},
        {"parameters": {"language": 5}},
        {"parameters": {"timeout": "soon"}},
        {"parameters": {"timeout": True}},
        {"outputs": 3},
        {"outputs": ["TRANSCRIPT"]},
        {"outputs": [{"name": "WORDS", "parameters": 3}]},
        {"outputs": [{"name": ["WORDS"]}]},
        {"inputs": [{"name": "AUDIO", "datatype": "INT16", "shape": [1], "data": [99_999]}]},
    ],
)
def test_a_wrong_inference_is_refused_and_breaks_nothing(plain, wrong):
    tensor = {"name": "AUDIO", "datatype": "INT16", "shape": [3], "data": [1, 2, 3]}
    answer = plain.http.post("/v2/models/asr/infer", json={"inputs": [tensor]} | wrong)
    assert answer.status_code == 400
    assert isinstance(answer.json()["error"], str)


def test_json_without_an_end_is_refused(plain):
    answer = plain.http.post("/v2/models/asr/infer", content=b"[" * 100_000)
    assert answer.status_code == 400


async def test_a_socket_that_is_not_there_is_told_which_are(plain):
    with pytest.raises(InvalidStatus) as refused:
        await connect(f"{plain.ws_url}/v1/streams")
    assert refused.value.response.status_code == 404
    assert "WS /v1/stream," in json.loads(refused.value.response.body)["error"]["message"]


async def test_sound_before_hello_is_told_so(plain):
    async with connect(f"{plain.ws_url}/v1/stream") as socket:
        await socket.send(bytes(16))
        with pytest.raises(ConnectionClosed, match="not JSON"):
            await socket.recv()


async def test_raw_sound_on_the_realtime_socket_is_an_error_and_no_goodbye(plain):
    async with connect(f"{plain.ws_url}/v1/realtime?intent=transcription") as socket:
        assert json.loads(await socket.recv())["type"] == "session.created"
        await socket.send(bytes(640))
        assert json.loads(await socket.recv())["error"]["message"] == "not JSON"
        await socket.send("{}")
        assert json.loads(await socket.recv())["error"]["message"] == "an event has a type"
