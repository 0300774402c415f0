"""Triton's own client against our KServe: `tritonclient.http`, unmodified."""

import json
import os

import numpy as np
import pytest

from agent.parakeet.fake import transcript_of
from tests.parakeet.server import AsrServer, tone

try:
    import tritonclient.http as triton
except (ImportError, RuntimeError):
    triton = None


@pytest.fixture(scope="module")
def client(tmp_path_factory):
    if triton is None:
        reason = 'pip install "tritonclient[http]"'
        pytest.fail(reason) if os.environ.get("CI") == "true" else pytest.skip(reason)
    server = AsrServer("--no-guards", folder=tmp_path_factory.mktemp("asr")).wait_ready()
    with triton.InferenceServerClient(server.url.removeprefix("http://")) as client:
        yield client
    server.stop()


def audio(pcm, shape, *, binary=True):
    tensor = triton.InferInput("AUDIO", shape, "INT16" if pcm.dtype == np.int16 else "FP32")
    tensor.set_data_from_numpy(pcm.reshape(shape), binary_data=binary)
    return [tensor]


def said(result):
    text = result.as_numpy("TRANSCRIPT").item()
    return text.decode() if isinstance(text, bytes) else text


def test_it_finds_the_server_alive_ready_and_described(client):
    assert client.is_server_live() and client.is_server_ready() and client.is_model_ready("fake")
    assert client.get_server_metadata()["name"] == "duplex-asr"
    outputs = [one["name"] for one in client.get_model_metadata("fake")["outputs"]]
    assert outputs == ["TRANSCRIPT", "CONFIDENCE", "WORDS"]


@pytest.mark.parametrize("binary", [True, False])
@pytest.mark.parametrize("shape", [[-1], [1, -1]])
def test_it_is_answered_in_both_forms(client, binary, shape):
    pcm = tone(1.3, seed=5)
    shape = [len(pcm) if size == -1 else size for size in shape]
    wanted = [
        triton.InferRequestedOutput(name, binary_data=binary)
        for name in ("TRANSCRIPT", "CONFIDENCE", "WORDS")
    ]
    result = client.infer(
        "fake",
        audio(pcm, shape, binary=binary),
        outputs=wanted,
        request_id="5",
        parameters={"language": "en", "hints": "Zanzibar, Xarelto"},
        timeout=5_000_000,
    )
    assert said(result) == transcript_of(pcm).text
    assert result.get_response()["id"] == "5"
    assert result.as_numpy("CONFIDENCE").item() == pytest.approx(0.9)
    words = json.loads(result.as_numpy("WORDS").item())
    assert [word["text"] for word in words] == said(result).split()


def test_floats_and_several_at_once(client):
    clips = [tone(0.5 + number / 4, seed=number) for number in range(3)]
    floats = [(pcm / 32768).astype(np.float32) for pcm in clips]
    asked = [client.async_infer("fake", audio(one, [len(one)])) for one in floats]
    assert [said(one.get_result()) for one in asked] == [transcript_of(pcm).text for pcm in clips]


def test_a_wrong_request_is_told_in_words(client):
    nothing = triton.InferInput("AUDIO", [3], "FP64")
    nothing.set_data_from_numpy(np.zeros(3))
    with pytest.raises(triton.InferenceServerException, match="one input AUDIO"):
        client.infer("fake", [nothing])
    with pytest.raises(triton.InferenceServerException, match="no language"):
        client.infer("fake", audio(tone(0.5), [8000]), parameters={"language": "xx"})
