"""The recognition service without a model: what the front, the pipe and the batching cost.

    python -m benchmarks.parakeet_front [--requests 500] [--seconds 10]

A fake engine in a real worker process sleeps as long as a device would compute, so what remains is
the service's own. To be run quiet. Prints one JSON line:

* ``lone``: one request at a time at an engine that costs nothing: inside the process (queue, pipe,
  worker and back), over HTTP, over HTTP with the speech guards, whose detector runs here, and over
  the native WebSocket, from ``finalize`` to the final. The utterance is a sentence with half a
  second behind it, in a quiet room and in a loud one (-55 dBFS). ``cpu_ms`` is what front and
  worker computed for each, which depends less on what else the machine does.
* ``batching``: 64 clients at once at an engine of 20 ms a batch, whatever is in it. They run in the
  front's process; ``front_cores`` is what both computed together, of one core each can have, so it
  tells whether they were the limit.
* ``overload``: arrivals at three times what the engine can do; latency of those let in, against the
  same engine unloaded, and how fast the others hear that they are not.
* ``live_s``: from the start of the process to ``/livez`` saying 200, the slowest of three.
* ``drain``: from SIGTERM, or from a file that appears, to ``/readyz`` saying 503, during a request;
  and whether that request was answered.
"""

import argparse
import asyncio
import contextlib
import http.client
import io
import itertools
import json
import os
import random
import resource
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

import httpx
import numpy as np
import soundfile
from loguru import logger

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.parakeet.batching import Priority
from agent.parakeet.device import WorkerSettings
from agent.parakeet.dispatch import QueueSettings
from agent.parakeet.engine import Options
from agent.parakeet.errors import OverloadedError
from agent.parakeet.service import Service, ServiceSettings
from benchmarks.corpus import SENTENCES
from benchmarks.latency import milliseconds
from benchmarks.machine import describe
from tests.parakeet.client import NativeClient

Result = TypeVar("Result")

FACTORY = "agent.parakeet.fake:open_engine"

CLIP_S = 4.0

FIXED_S = 0.02

CLIENTS, MAX_BATCH = 64, 32

OVERLOAD_BATCH = 8

QUIET, LOUD = 4.0, 60.0
"""Standard deviation of a room's noise, in int16 steps."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--requests", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=10.0)
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="WARNING")
    print(json.dumps(asyncio.run(measure(options.requests, options.seconds))))


async def measure(requests: int, seconds: float) -> dict[str, Any]:
    return {
        "benchmark": "parakeet_front",
        "machine": describe(),
        "live_s": max(live() for _ in range(3)),
        "lone": {
            "service": await lone_in_process(requests),
            "http": lone_over_http(requests, QUIET, "--no-guards"),
            "http_with_guards": lone_over_http(requests, QUIET),
            "http_with_guards_in_noise": lone_over_http(requests, LOUD),
            "websocket": await asyncio.to_thread(lone_over_websocket, requests, "--no-guards"),
        },
        "batching": await batching(seconds),
        "overload": await overload(seconds),
        "drain": {sign: drain(sign) for sign in ("signal", "file")},
    }


async def lone_in_process(requests: int) -> dict[str, float]:
    """Queue, pipe, worker and back."""
    pcm = noise(0)

    async def work(service: Service) -> list[float]:
        return [await timed(service, pcm) for _ in range(requests)]

    return milliseconds(await serving({}, QueueSettings(), work))


def live() -> float:
    """Start a server, and ask until it is alive."""
    started_s = time.perf_counter()
    with front() as (host, _):
        while httpx.get(f"http://{host}/livez").status_code != 200:
            pass
        return round(time.perf_counter() - started_s, 2)


def lone_over_http(requests: int, room: float, *options: str) -> dict[str, float]:
    """The same through HTTP, as a client on this machine sees it."""
    data = io.BytesIO()
    soundfile.write(data, speech(room), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    # Written once: what a client needs to write its form is not the server's.
    form = httpx.Request(
        "POST", "http://host", files={"file": ("a.wav", data.getvalue())}, data={"model": "fake"}
    )
    body, headers = form.read(), {"Content-Type": form.headers["Content-Type"]}
    with front(*options) as (host, processes):
        connection = http.client.HTTPConnection(host)

        def ask() -> int:
            connection.request("POST", "/v1/audio/transcriptions", body, headers)
            answer = connection.getresponse()
            answer.read()
            return answer.status

        while ask() != 200:
            time.sleep(0.05)
        took, before_s = [], cpu_s(processes())
        for _ in range(requests):
            started_s = time.perf_counter()
            assert ask() == 200
            took.append(time.perf_counter() - started_s)
        spent_s = cpu_s(processes()) - before_s
    return milliseconds(took) | {"cpu_ms": round(1000 * spent_s / requests, 2)}


def lone_over_websocket(requests: int, *options: str) -> dict[str, float]:
    """A live utterance whose audio has arrived: from ``finalize`` to its final."""
    pcm = speech(QUIET)

    async def work(host: str, processes: Callable[[], list[int]]) -> dict[str, float]:
        client = await NativeClient.open(f"ws://{host}", partials=False)
        took: list[float] = []
        before_s = 0.0
        for number in range(1, requests + 11):
            if number == 11:
                took, before_s = [], cpu_s(processes())
            await client.audio(number, pcm, step=8000)
            # Everything before this answer has been taken.
            await client.say(type="ping")
            await client.until("pong")
            started_s = time.perf_counter()
            await client.final(number, pcm)
            took.append(time.perf_counter() - started_s)
        spent_s = cpu_s(processes()) - before_s
        await client.close()
        return milliseconds(took) | {"cpu_ms": round(1000 * spent_s / requests, 2)}

    with front(*options) as (host, processes):
        while httpx.get(f"http://{host}/readyz").status_code != 200:
            time.sleep(0.05)
        return asyncio.run(work(host, processes))


def drain(sign: str, rounds: int = 5) -> dict[str, float]:
    """Tell a busy server to go, and ask whether it is ready until it is not."""
    data = io.BytesIO()
    soundfile.write(data, noise(0), SAMPLE_RATE, format="WAV", subtype="PCM_16")
    files, form = {"file": ("a.wav", data.getvalue())}, {"model": "fake"}
    took, answered = [], 0
    for _ in range(rounds):
        with contextlib.ExitStack() as stack:
            notice = Path(stack.enter_context(tempfile.TemporaryDirectory())) / "going"
            options = ("--no-guards", "--set", "fixed_s=1.0", "--drain-on", str(notice))
            host, processes = stack.enter_context(front(*options))
            it = stack.enter_context(httpx.Client(base_url=f"http://{host}", timeout=60))
            while it.get("/readyz").status_code != 200:
                time.sleep(0.05)
            pool = stack.enter_context(ThreadPoolExecutor(1))
            url = f"http://{host}/v1/audio/transcriptions"
            asked = pool.submit(httpx.post, url, timeout=60, files=files, data=form)
            while 'parakeet_queue_seconds_count{priority="file"} 1' not in it.get("/metrics").text:
                time.sleep(0.01)
            started_s = time.perf_counter()
            if sign == "signal":
                os.kill(processes()[0], signal.SIGTERM)
            else:
                notice.touch()
            while it.get("/readyz").status_code != 503:
                pass
            took.append(time.perf_counter() - started_s)
            answered += asked.result().is_success
    return milliseconds(took) | {"answered": answered}


@contextlib.contextmanager
def front(*options: str) -> Iterator[tuple[str, Callable[[], list[int]]]]:
    """A server as users run it: its ``host:port``, and its processes while it has a worker."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, "-m", "agent", "asr-server", "--engine", "fake", "--port", "0"]
        server = subprocess.Popen(
            [*command, "--checkpoints", folder, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        try:
            assert server.stdout is not None
            host = urlsplit(server.stdout.readline().split()[-1]).netloc
            children = Path(f"/proc/{server.pid}/task/{server.pid}/children")
            yield host, lambda: [server.pid, *map(int, children.read_text().split())]
        finally:
            server.terminate()
            server.wait()


def cpu_s(processes: Sequence[int]) -> float:
    """Seconds these processes have computed (Linux)."""
    ticks = 0
    for pid in processes:
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


async def batching(seconds: float) -> dict[str, float]:
    """Closed loop: each client sends its next request when it has its answer."""
    clips = [noise(number) for number in range(CLIENTS)]

    async def work(service: Service) -> dict[str, float]:
        end_s = time.perf_counter() + seconds
        done = itertools.count()

        async def client(pcm: Int16Array) -> None:
            while time.perf_counter() < end_s:
                await timed(service, pcm)
                next(done)

        processes = {"front": [os.getpid()], "worker": service.worker_pids}
        before = {name: cpu_s(pids) for name, pids in processes.items()}
        count, items = batches(service)
        started_s = time.perf_counter()
        await asyncio.gather(*map(client, clips))
        took_s = time.perf_counter() - started_s
        rate, ideal = next(done) / took_s, MAX_BATCH / FIXED_S
        count, items = batches(service)[0] - count, batches(service)[1] - items
        return {
            "clients": CLIENTS,
            "fixed_ms": FIXED_S * 1000,
            "max_batch": MAX_BATCH,
            "requests_per_s": round(rate, 1),
            "ideal_per_s": ideal,
            "share_of_ideal": round(rate / ideal, 3),
            "mean_batch": round(items / count, 2),
            **{
                f"{name}_cores": round((cpu_s(pids) - before[name]) / took_s, 2)
                for name, pids in processes.items()
            },
        }

    engine = {"fixed_s": FIXED_S, "max_batch": MAX_BATCH}
    return await serving(engine, QueueSettings(live_wait_s=60.0), work)


def batches(service: Service) -> tuple[float, float]:
    """How many there were, and of how many requests in all."""
    (metric,) = service.metrics.batch_size.collect()
    total = {one.name: one.value for one in metric.samples}
    return total["parakeet_batch_size_count"], total["parakeet_batch_size_sum"]


async def overload(seconds: float) -> dict[str, Any]:
    """Open loop: arrivals do not wait for answers."""
    pcm = noise(0, seconds=1.0)
    rate = 3 * OVERLOAD_BATCH / FIXED_S

    async def work(service: Service) -> dict[str, Any]:
        unloaded = [await timed(service, pcm) for _ in range(200)]
        served: list[float] = []
        refused: list[float] = []
        retry_after: list[float] = []
        draw = random.Random(1)

        async def client() -> None:
            started_s = time.perf_counter()
            try:
                served.append(await timed(service, pcm))
            except OverloadedError as error:
                refused.append(time.perf_counter() - started_s)
                retry_after.append(error.retry_after_s or 0.0)

        clock = asyncio.get_running_loop().time
        next_s = clock()
        end_s = next_s + seconds
        async with asyncio.TaskGroup() as group:
            while next_s < end_s:
                await asyncio.sleep(max(0.0, next_s - clock()))
                while next_s <= clock():
                    group.create_task(client())
                    next_s += draw.expovariate(rate)
        return {
            "arrivals_per_s": rate,
            "capacity_per_s": OVERLOAD_BATCH / FIXED_S,
            "unloaded": milliseconds(unloaded),
            "admitted": milliseconds(served),
            "admitted_per_s": round(len(served) / seconds, 1),
            "refused": milliseconds(refused),
            "refused_without_retry_after": sum(value <= 0 for value in retry_after),
            "rss_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10,
        }

    engine = {"fixed_s": FIXED_S, "max_batch": OVERLOAD_BATCH}
    # A wait of less than one batch, so that what is let in is answered within two.
    return await serving(engine, QueueSettings(live_wait_s=0.75 * FIXED_S), work)


async def serving(
    engine: dict[str, Any],
    queue: QueueSettings,
    work: Callable[[Service], Awaitable[Result]],
) -> Result:
    """Run `work` against a service with one real worker process, without guards."""
    service = Service(ServiceSettings(workers=(WorkerSettings(FACTORY, engine),), queue=queue))
    async with service.running():
        # The first requests wait for the worker and meet cold caches.
        for number in range(20):
            await timed(service, noise(number, seconds=0.5))
        return await work(service)


async def timed(service: Service, pcm: Int16Array) -> float:
    """Seconds for one live utterance."""
    started_s = time.perf_counter()
    deadline_s = asyncio.get_running_loop().time() + 60.0
    await service.recognise(pcm, Options(), Priority.LIVE, deadline_s)
    return time.perf_counter() - started_s


def noise(seed: int, seconds: float = CLIP_S) -> Int16Array:
    """Audio that is unlike any other seed's."""
    signal = np.random.default_rng(seed).normal(0.0, 3000.0, round(seconds * SAMPLE_RATE))
    return np.clip(signal, -32768, 32767).astype(np.int16)


def speech(room: float) -> Int16Array:
    """A sentence for the guards to look at, the half second behind it, and the noise of a room."""
    from tests.speech import dialogue

    # The voice itself falls silent 0.4 s before its end.
    return dialogue(SENTENCES[0], 0.1, noise=room)


if __name__ == "__main__":
    main()
