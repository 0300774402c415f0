"""Many clients at once: every text is the one the same audio has alone."""

import asyncio
import itertools
import os
import threading

import httpx
from prometheus_client.parser import text_string_to_metric_families

from agent.parakeet.fake import transcript_of
from tests.parakeet.client import NativeClient
from tests.parakeet.server import tone, wav

ROUTE = "/v1/audio/transcriptions"

REQUESTS = int(os.environ.get("DUPLEX_LOAD_REQUESTS", "200"))
"""The bar of 1000 is run by hand; CI runs fewer of the same."""

CLIENTS = 32


def length_s(number: int) -> float:
    """0.3 to 12 s, most of them short, as people speak."""
    return 0.3 + 11.7 * ((number * 37 % 100) / 100) ** 3


def test_texts_do_not_depend_on_company(plain):
    before = plain.metric("parakeet_batch_size_sum"), plain.metric("parakeet_batch_size_count")
    todo = itertools.count()
    wrong: list[tuple[int, object]] = []
    answered = itertools.count()

    def check(number, pcm, text):
        if text != transcript_of(pcm).text:
            wrong.append((number, text))
        next(answered)

    def over_http():
        with httpx.Client(base_url=plain.url, timeout=120) as http:
            while (number := next(todo)) < REQUESTS:
                pcm = tone(length_s(number), seed=number)
                form = {"files": {"file": wav(pcm)}, "data": {"model": "p"}}
                check(number, pcm, http.post(ROUTE, **form).json().get("text"))

    async def over_websocket():
        client = await NativeClient.open(plain.ws_url)
        while (number := next(todo)) < REQUESTS:
            pcm = tone(length_s(number), seed=number)
            await client.audio(number + 1, pcm, step=16_000)
            final = await client.final(number + 1, pcm, deadline_s=120)
            check(number, pcm, final["text"])
        await client.close()

    threads = [
        threading.Thread(target=over_http)
        if number % 4
        else threading.Thread(target=lambda: asyncio.run(over_websocket()))
        for number in range(CLIENTS)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert next(answered) == REQUESTS
    done = plain.metric("parakeet_batch_size_sum") - before[0]
    assert done == REQUESTS
    # They did share batches, or this test shows nothing.
    assert plain.metric("parakeet_batch_size_count") - before[1] < REQUESTS


def test_the_histogram_counts_every_request(plain):
    form = {"files": {"file": wav(tone(1))}, "data": {"model": "p"}}
    assert plain.http.post("/v1/audio/transcriptions", **form).status_code == 200
    text = plain.http.get("/metrics").text
    samples = [
        sample
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.labels.get("route") == "transcriptions"
    ]
    requests = sum(one.value for one in samples if one.name == "parakeet_requests_total")
    timed = sum(one.value for one in samples if one.name == "parakeet_request_seconds_count")
    assert requests == timed >= 1


def test_a_full_queue_says_when_to_come_back(tmp_path):
    from tests.parakeet.server import AsrServer

    server = AsrServer(
        "--no-guards",
        *("--file-wait", "0.3", "--set", "fixed_s=0.5", "--set", "max_batch=1"),
        folder=tmp_path,
    )
    try:
        server.wait_ready()
        clip = {"files": {"file": wav(tone(1))}, "data": {"model": "p"}}
        # The mean of batch times is known after the first.
        assert httpx.post(f"{server.url}/v1/audio/transcriptions", **clip).status_code == 200
        answers: list[httpx.Response] = []

        def send():
            answers.append(httpx.post(f"{server.url}/v1/audio/transcriptions", timeout=60, **clip))

        threads = [threading.Thread(target=send) for _ in range(12)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        refused = [answer for answer in answers if answer.status_code == 503]
        served = [answer for answer in answers if answer.status_code == 200]
        assert len(refused) + len(served) == 12
        assert served
        assert refused
        for answer in refused:
            assert answer.json()["error"]["code"] == "overloaded"
            assert int(answer.headers["retry-after"]) >= 1
            assert int(answer.headers["retry-after-ms"]) >= 1
    finally:
        server.stop()
