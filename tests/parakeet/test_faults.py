"""What breaks, and that every request is answered all the same: once, in time, in full."""

import asyncio
import itertools
import json
import threading
import time
import zlib
from pathlib import Path

import httpx
import numpy as np
import pytest

from agent.parakeet.fake import transcript_of
from tests.parakeet.client import NativeClient
from tests.parakeet.metadata import Metadata
from tests.parakeet.server import AsrServer, tone, wav

ROUTE = "/v1/audio/transcriptions"


def ask(server, pcm, hints=(), **headers):
    form = {"model": "p", "keywords[]": list(hints)}
    return server.http.post(ROUTE, files={"file": wav(pcm)}, data=form, headers=headers)


@pytest.fixture
def fragile(tmp_path):
    """Its calls hang for 2 s at most before the worker is replaced."""
    server = AsrServer(
        "--no-guards",
        *("--hang", "2", "--live-wait", "60", "--set", "faults=true", "--set", "fixed_s=0.02"),
        folder=tmp_path,
    )
    yield server.wait_ready()
    server.stop()


def test_requests_survive_the_workers_death(fragile):
    """Killed again and again under 60 requests from 6 clients: 60 right texts."""
    clips = [tone(0.5 + number % 7 / 4, seed=number) for number in range(60)]
    answers: dict[int, httpx.Response] = {}
    todo = itertools.count()

    def client():
        with httpx.Client(base_url=fragile.url, timeout=60) as http:
            while (number := next(todo)) < len(clips):
                answers[number] = http.post(
                    ROUTE, files={"file": wav(clips[number])}, data={"model": "p"}
                )

    threads = [threading.Thread(target=client) for _ in range(6)]
    for thread in threads:
        thread.start()
    for done in (10, 25, 40):
        fragile._until(lambda done=done: len(answers) >= done, "no progress")
        fragile.kill_worker()
    for thread in threads:
        thread.join()
    assert [answers[number].status_code for number in range(60)] == [200] * 60
    assert [answers[number].json()["text"] for number in range(60)] == [
        transcript_of(pcm).text for pcm in clips
    ]
    fragile.wait_metric('parakeet_worker_restarts_total{reason="crash"}', 3.0)


async def test_a_live_utterance_survives_the_workers_death(fragile):
    pcm = tone(3, seed=80)
    client = await NativeClient.open(fragile.ws_url)
    await client.audio(1, pcm[:24_000])
    await client.until("partial")
    fragile.kill_worker()
    await client.audio(1, pcm[24_000:], start=24_000)
    final = await client.final(1, pcm, deadline_s=30)
    assert final["text"] == transcript_of(pcm).text
    assert final["crc32"] == zlib.crc32(pcm.tobytes())
    await client.close()


async def test_streams_go_on_after_the_workers_death(tmp_path):
    """A server with a streaming model alone: the new worker hears the utterance from its start."""
    server = AsrServer("--no-guards", "--set", "max_batch=0", folder=tmp_path)
    try:
        server.wait_ready()
        pcm = tone(3, seed=81)
        client = await NativeClient.open(server.ws_url)
        await client.audio(1, pcm[:24_000])
        await client.until("partial")
        server.kill_worker()
        await client.audio(1, pcm[24_000:], start=24_000)
        final = await client.final(1, pcm, deadline_s=30)
        assert final["text"] == transcript_of(pcm).text
        await client.close()
    finally:
        server.stop()


def test_a_hung_worker_is_replaced_and_its_request_answered_in_time(fragile):
    answer = ask(fragile, tone(1, seed=82), hints=["fake:hang"], **{"X-Deadline-S": "1"})
    assert answer.status_code == 504
    assert answer.json()["error"]["code"] == "deadline"
    # The watchdog sees that the call never ends; the next request is served by a new worker.
    pcm = tone(1, seed=83)
    assert ask(fragile, pcm).json()["text"] == transcript_of(pcm).text
    assert fragile.metric('parakeet_worker_restarts_total{reason="hang"}') == 1.0


def test_what_kills_every_worker_is_given_up(fragile):
    pcm = tone(1, seed=84)
    answer = ask(fragile, pcm, hints=["fake:lost"])
    assert answer.status_code == 500
    assert fragile.metric('parakeet_worker_restarts_total{reason="lost"}') == 3.0
    assert ask(fragile, pcm).json()["text"] == transcript_of(pcm).text


def test_one_bad_utterance_does_not_spoil_its_batch(plain):
    with httpx.Client(base_url=plain.url, timeout=60) as http:

        def send(number):
            hints = ["fake:break"] if number == 5 else []
            form = {"model": "p", "keywords[]": hints}
            return http.post(ROUTE, files={"file": wav(tone(1, seed=number))}, data=form)

        results: dict[int, httpx.Response] = {}
        threads = [
            threading.Thread(target=lambda n=n: results.__setitem__(n, send(n))) for n in range(12)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
    for number, answer in results.items():
        if number == 5:
            assert answer.status_code == 500
        else:
            assert answer.json()["text"] == transcript_of(tone(1, seed=number)).text


def test_too_big_a_batch_is_split(tmp_path):
    server = AsrServer(
        "--no-guards",
        *("--set", "out_of_memory_above=2", "--set", "fixed_s=0.05"),
        folder=tmp_path,
    )
    try:
        server.wait_ready()
        results: dict[int, str] = {}

        def send(number):
            answer = httpx.post(
                server.url + ROUTE,
                files={"file": wav(tone(1, seed=number))},
                data={"model": "p"},
                timeout=60,
            )
            results[number] = answer.json()["text"]

        threads = [threading.Thread(target=send, args=(number,)) for number in range(16)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert results == {number: transcript_of(tone(1, seed=number)).text for number in range(16)}
        assert server.metric("parakeet_out_of_memory_total") >= 1
    finally:
        server.stop()


def test_an_empty_answer_to_speech_is_tried_again(guarded):
    from tests.speech import dialogue

    speech = dialogue("Yes, that is right, thank you.", 0.6)
    answer = ask(guarded, speech, hints=["fake:empty"])
    assert answer.json()["text"]
    assert guarded.metric('parakeet_empty_retries_total{result="text"}') == 1.0


def test_silence_is_answered_without_decoding(guarded):
    quiet = np.random.default_rng(0).normal(0, 20, 32_000).astype(np.int16)
    before = guarded.metric("parakeet_batch_seconds_count")
    assert ask(guarded, quiet).json()["text"] == ""
    assert guarded.metric("parakeet_batch_seconds_count") == before
    assert guarded.metric("parakeet_silent_total") >= 1


def test_a_runaway_repetition_is_cut(plain):
    pcm = tone(2, seed=85)
    assert ask(plain, pcm, hints=["fake:loop"]).json()["text"] == transcript_of(pcm).text
    assert plain.metric("parakeet_repeated_words_total") == 60.0


def test_a_long_recording_goes_on_after_the_servers_death(tmp_path):
    recording = np.concatenate([tone(20, seed=90 + number) for number in range(6)])
    options = ("--no-guards", "--set", "max_batch=1", "--set", "fixed_s=0.4")
    first = AsrServer(*options, folder=tmp_path)
    first.wait_ready()

    def send_and_lose():
        with pytest.raises(httpx.TransportError):
            ask(first, recording)

    sender = threading.Thread(target=send_and_lose)
    sender.start()
    [journal] = _wait_for_lines(tmp_path, 2)
    first.process.kill()
    first.process.wait()
    sender.join()
    done = len(_entries(journal))

    second = AsrServer(*options, folder=tmp_path)
    try:
        second.wait_ready()
        text = ask(second, recording).json()["text"]
        total = second.metric('parakeet_segments_total{source="checkpoint"}')
        again = second.metric('parakeet_segments_total{source="recognised"}')
        assert total >= done >= 2
        assert total + again == len(_entries(journal))
        # Once more: nothing is left to do.
        assert ask(second, recording).json()["text"] == text
        assert second.metric('parakeet_segments_total{source="recognised"}') == again
    finally:
        second.stop()


def test_a_worker_dies_with_its_server(tmp_path):
    server = AsrServer(folder=tmp_path)
    server.wait_ready()
    (worker,) = server.worker_pids()
    server.process.kill()
    end = time.monotonic() + 40
    while _is_running(worker):
        assert time.monotonic() < end, "an orphan holds the device"
        time.sleep(0.02)
    server.stop()


@pytest.mark.parametrize("sign", ["signal", "file", "address"])
async def test_a_drain_answers_what_is_in_flight_and_refuses_the_rest(sign, tmp_path):
    metadata, file = Metadata(), tmp_path / "going"
    source = str(file) if sign == "file" else f"http://{metadata.host}/notice"
    options = ["--no-guards", "--set", "fixed_s=1.0", "--drain-on", source]
    server = AsrServer(*options, folder=tmp_path)
    try:
        server.wait_ready()
        pcm = tone(1, seed=99)
        client = await NativeClient.open(server.ws_url, partials=False)
        await client.audio(1, pcm)
        async with httpx.AsyncClient(base_url=server.url, timeout=60) as http:
            form = {"files": {"file": wav(pcm)}, "data": {"model": "p"}}
            in_flight = asyncio.create_task(http.post(ROUTE, **form))
            count = 'parakeet_queue_seconds_count{priority="file"}'
            await asyncio.to_thread(server.wait_metric, count, 1)
            if sign == "signal":
                server.terminate()
            elif sign == "file":
                file.touch()
            else:
                metadata.answers["/notice"] = "terminate"
            going = await client.until("going_away")
            assert going["deadline_s"] == 30
            refused = await http.get("/readyz")
            assert refused.status_code == 503
            late = await http.post(ROUTE, **form)
            assert late.status_code == 503
            assert late.json()["error"]["code"] == "draining"
            assert late.headers["retry-after"] == "1"
            # A new utterance is refused, the open one is finished.
            await client.audio(2, pcm)
            refusal = await client.until("error", 2)
            assert (refusal["code"], refusal["retryable"]) == ("draining", True)
            expected = transcript_of(pcm).text
            assert (await client.final(1, pcm))["text"] == expected
            answer = await in_flight
            assert (answer.status_code, answer.json()["text"]) == (200, expected)
            assert await client.closed() == 1001
        assert await asyncio.to_thread(server.process.wait, 20) == 0
    finally:
        server.stop()
        metadata.close()


def test_live_while_loading_and_ready_only_when_loaded(tmp_path):
    server = AsrServer("--no-guards", "--set", "load_s=1.5", folder=tmp_path)
    try:
        assert server.http.get("/livez").status_code == 200
        assert server.http.get("/v2/health/live").status_code == 200
        assert server.http.get("/v2/health/ready").status_code == 503
        early = ask(server, tone(1))
        assert (early.status_code, early.headers["retry-after"]) == (503, "2")
        server.wait_ready()
        assert server.http.get("/v2/health/ready").status_code == 200
        assert server.http.get("/v2/models/fake/ready").status_code == 200
    finally:
        server.stop()


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--set", "no_such_key=1"], "no_such_key"),
        (["--engine", "agent.parakeet.nothing:open_engine"], "--worker-python names"),
        # As `agent.parakeet.nemo` does where there is no PyTorch: it fails when it is called.
        (["--engine", "tests.parakeet.torchless:open_engine"], "No module named 'no_such_torch'"),
        (["--engine", "agent.parakeet.fake:nothing"], "has no engine 'nothing'"),
        (["--worker-python", "/nowhere/python"], "/nowhere/python cannot be run: No such file"),
    ],
)
def test_wrong_settings_end_the_server_with_a_reason(tmp_path, options, says):
    server = AsrServer(*options, folder=tmp_path)
    assert server.process.wait(30) == 1
    server._reader.join(5)
    assert says in server.log()


def _is_running(pid):
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _entries(journal):
    found = []
    for line in journal.read_bytes().split(b"\n"):
        try:
            found.append(json.loads(line))
        except ValueError:
            continue
    return found


def _wait_for_lines(folder, count):
    end = time.monotonic() + 40
    while time.monotonic() < end:
        journals = list(folder.glob("*.jsonl"))
        if journals and len(_entries(journals[0])) >= count:
            return journals
        time.sleep(0.01)
    raise AssertionError("no progress was written")
