"""The whole service as a user runs it, with NeMo in its worker."""

import numpy as np
import pytest

from tests.nemo import corpus
from tests.parakeet import server as asr_server
from tests.parakeet.client import NativeClient
from tests.parakeet.server import AsrServer, wav


@pytest.fixture(scope="module")
def serve(checkpoints, tmp_path_factory):
    servers = []
    # Importing NeMo alone takes ten seconds on a quiet machine, and minutes on a busy one.
    patch = pytest.MonkeyPatch()
    patch.setattr(asr_server, "START_LIMIT_S", 400.0)

    def start(kind):
        options = ["--engine", "nemo", "--model", str(checkpoints[kind]), "--device", "cpu"]
        options += ["--set", "threads=1", "--deadline", "60", "--hang", "60"]
        servers.append(AsrServer(*options, folder=tmp_path_factory.mktemp("asr")))
        return servers[-1].wait_ready()

    yield start
    patch.undo()
    for server in servers:
        server.stop()


def quiet(text):
    """`text` in a quiet room, silence before and after."""
    clip = corpus.speak(text).pcm
    pcm = np.concatenate([np.zeros(3200, np.int16), clip, np.zeros(16_000, np.int16)])
    return (pcm + np.random.default_rng(0).normal(0, 4, len(pcm))).astype(np.int16)


def test_a_file_over_http(serve):
    server = serve("tdt")
    form = {"model": "whisper-1", "response_format": "verbose_json"}
    form["timestamp_granularities[]"] = "word"
    for text in ("turn off the kitchen light", "turn on the bedroom music"):
        answer = server.http.post(
            "/v1/audio/transcriptions", files={"file": wav(quiet(text))}, data=form
        ).json()
        assert answer["text"] == text
        assert [word["word"] for word in answer["words"]] == text.split()
    silence = np.zeros(16_000, np.int16)
    answer = server.http.post("/v1/audio/transcriptions", files={"file": wav(silence)}, data=form)
    assert answer.json()["text"] == ""


async def test_a_stream_over_a_websocket(serve):
    text = "turn off the kitchen light"
    pcm = quiet(text)
    server = serve("streaming")
    client = await NativeClient.open(server.ws_url, language="en")
    await client.audio(1, pcm[:17_600], step=1600)
    early = await client.until("partial")
    await client.audio(1, pcm[17_600:], start=17_600, step=1600)
    endpoint = await client.until("endpoint")
    final = await client.final(1, pcm)
    await client.close()

    assert endpoint["kind"] == "eou"
    assert final["text"] == text
    assert early["text"]
    assert text.startswith(early["text"])
    assert early["text"] != text, "text must come while it is spoken"
