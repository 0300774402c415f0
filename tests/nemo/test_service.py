"""The whole service as a user runs it, with NeMo in its worker."""

import re
import shlex
from pathlib import Path

import numpy as np
import pytest

from benchmarks import parakeet_streams
from tests.nemo import corpus
from tests.parakeet import client as native_client
from tests.parakeet import server as asr_server
from tests.parakeet.client import NativeClient
from tests.parakeet.server import AsrServer, wav

README = (Path(__file__).resolve().parents[2] / "README.md").read_text(encoding="utf-8")


@pytest.fixture(scope="module")
def serve(checkpoints, tmp_path_factory):
    servers = {}
    # Importing NeMo alone takes ten seconds on a quiet machine, and minutes on a busy one.
    patch = pytest.MonkeyPatch()
    patch.setattr(asr_server, "START_LIMIT_S", 400.0)
    patch.setattr(native_client, "LIMIT_S", 120.0)

    def start(kind):
        options = ["--engine", "nemo", "--model", str(checkpoints[kind]), "--device", "cpu"]
        options += ["--set", "threads=1", "--deadline", "60", "--hang", "60"]
        if kind not in servers:
            servers[kind] = AsrServer(*options, folder=tmp_path_factory.mktemp("asr"))
        return servers[kind].wait_ready()

    yield start
    patch.undo()
    for server in servers.values():
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


async def test_sixteen_callers_at_once_in_real_time(serve):
    """Each at the pace of speech; the benchmark prints the lag, which is the machine's."""
    server = serve("streaming")
    clips = [quiet(text) for text in corpus.COMMANDS[:2]]
    found = await parakeet_streams.measure(server.ws_url, clips, streams=16, rounds=1, aborts=100)
    print(found)
    assert (found["utterances"], found["different"], found["empty"]) == (16, 0, 0)
    assert found["partial_lag"]["count"] >= 16
    assert found["slots_leaked"] == 0


def test_the_readmes_command_with_what_is_here(serve, checkpoints, tmp_path):
    """All but its checkpoint, its GPU and its network; `make parakeet` has run before this."""
    prepare, command = re.findall(r"`(make parakeet) && (.*?)`", README)[0]
    key, program, name, *options = shlex.split(command)
    assert (prepare, program, name) == (
        "make parakeet",
        ".venv-parakeet/bin/duplex",
        "asr-server",
    )
    here = {"--model": str(checkpoints["tdt"]), "--device": "cpu", "--host": "127.0.0.1"}
    given = dict(zip(options[::2], options[1::2], strict=True))
    assert given.keys() == here.keys()
    options = [part for pair in here.items() for part in pair]
    server = AsrServer(*options, "--engine", "nemo", folder=tmp_path, env=dict([key.split("=")]))
    try:
        server.wait_ready()
        text = "turn off the kitchen light"
        files = {"file": wav(quiet(text))}
        form = {"model": "whisper-1"}
        ask = "/v1/audio/transcriptions"
        assert server.http.post(ask, files=files, data=form).status_code == 401
        server.http.headers["Authorization"] = f"Bearer {key.partition('=')[2]}"
        assert server.http.post(ask, files=files, data=form).json()["text"] == text
    finally:
        server.stop()
