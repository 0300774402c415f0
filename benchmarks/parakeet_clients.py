"""Many clients at once at a recognition server, over HTTP and WebSocket, against one alone.

    python -m benchmarks.parakeet_clients --url http://HOST:8010 [--clients 32] [--requests 1000]

Utterances of 0.3 to 12 s, cut out of sentences in the packaged voice, most of them short, as people
speak. Each is sent alone first, one after the other; then all clients send all of them again, three
quarters over HTTP, the others over the native WebSocket. Prints one JSON line:

* ``errors`` and ``different``: requests without a text, and texts that are not those sent alone;
* ``alone`` and ``together``: requests a second, seconds of audio a second, latency.
"""

import argparse
import asyncio
import contextlib
import io
import json
import time
from collections.abc import Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import numpy as np
import soundfile

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from benchmarks.corpus import SENTENCES
from benchmarks.latency import milliseconds
from benchmarks.machine import describe
from tests.parakeet.client import NativeClient

ROUTE = "/v1/audio/transcriptions"

SHORTEST_S, LONGEST_S = 0.3, 12.0


def utterances(count: int) -> list[Int16Array]:
    """Stretches of speech, each unlike the others."""
    from tests.speech import dialogue

    parts: list[str | float] = [part for sentence in SENTENCES for part in (sentence, 0.4)]
    track = dialogue(*parts)
    draw = np.random.default_rng(0)
    cut = []
    for _ in range(count):
        length_s = SHORTEST_S + (LONGEST_S - SHORTEST_S) * draw.random() ** 3
        length = min(round(length_s * SAMPLE_RATE), len(track))
        start = int(draw.integers(0, len(track) - length + 1))
        cut.append(track[start : start + length])
    return cut


async def ready(http: httpx.AsyncClient) -> None:
    """Wait until the server has loaded its model."""
    async with asyncio.timeout(600):
        while True:
            with contextlib.suppress(httpx.TransportError):
                if (await http.get("/readyz")).is_success:
                    return
            await asyncio.sleep(0.2)


async def over_http(http: httpx.AsyncClient, pcm: Int16Array) -> str | None:
    """The text of one request; None where there is none."""
    data = io.BytesIO()
    soundfile.write(data, pcm, SAMPLE_RATE, format="WAV", subtype="PCM_16")
    files = {"file": ("a.wav", data.getvalue())}
    answer = await http.post(ROUTE, files=files, data={"model": "any"})
    return answer.json().get("text") if answer.is_success else None


async def over_websocket(client: NativeClient, number: int, pcm: Int16Array) -> str | None:
    """The same over the native protocol."""
    await client.audio(number, pcm, step=16_000)
    await client.say(type="finalize", utterance=number, samples=len(pcm), deadline_s=120)
    answer = await client.until_one_of({"final", "error"}, number)
    await client.say(type="received", utterance=number)
    return answer.get("text")


async def measure(url: str, pcms: Sequence[Int16Array], clients: int) -> dict[str, Any]:
    """All utterances by one client, then by many."""
    together: dict[int, str | None] = {}
    todo = iter(range(len(pcms)))
    took: dict[str, list[float]] = {"alone": [], "together": []}

    async def browse(http: httpx.AsyncClient) -> None:
        for number in todo:
            began_s = time.perf_counter()
            together[number] = await over_http(http, pcms[number])
            took["together"].append(time.perf_counter() - began_s)

    async def call() -> None:
        client = await NativeClient.open(url.replace("http", "ws", 1), partials=False)
        for number in todo:
            began_s = time.perf_counter()
            together[number] = await over_websocket(client, number + 1, pcms[number])
            took["together"].append(time.perf_counter() - began_s)
        await client.close()

    limits = httpx.Limits(max_connections=clients)
    async with httpx.AsyncClient(base_url=url, timeout=300, limits=limits) as http:
        await ready(http)
        began_s = time.perf_counter()
        alone = []
        for pcm in pcms:
            one_s = time.perf_counter()
            alone.append(await over_http(http, pcm))
            took["alone"].append(time.perf_counter() - one_s)
        alone_s = time.perf_counter() - began_s
        began_s = time.perf_counter()
        await asyncio.gather(*(browse(http) if n % 4 else call() for n in range(clients)))
        together_s = time.perf_counter() - began_s
    audio_s = sum(map(len, pcms)) / SAMPLE_RATE

    def speed(seconds: float, latencies: Sequence[float]) -> dict[str, float]:
        return {
            "requests_per_s": round(len(pcms) / seconds, 2),
            "x_real_time": round(audio_s / seconds, 1),
            **milliseconds(latencies),
        }

    texts = [together.get(number) for number in range(len(pcms))]
    return {
        "clients": clients,
        "requests": len(pcms),
        "audio_s": round(audio_s),
        "errors": sum(text is None for text in (*alone, *texts)),
        "different": sum(one != other for one, other in zip(alone, texts, strict=True)),
        "empty": sum(not text for text in alone),
        "alone": speed(alone_s, took["alone"]),
        "together": speed(together_s, took["together"]),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--url", required=True, help="http://HOST:PORT of duplex asr-server")
    parser.add_argument("--clients", type=int, default=32)
    parser.add_argument("--requests", type=int, default=1000)
    given = parser.parse_args()
    if urlsplit(given.url).scheme not in ("http", "https"):
        parser.error("--url is http://HOST:PORT")
    found = asyncio.run(measure(given.url, utterances(given.requests), given.clients))
    print(json.dumps({"benchmark": "parakeet_clients", "machine": describe(), **found}))


if __name__ == "__main__":
    main()
