"""What a flood does to a call that is running.

    python -m benchmarks.flood [--lasting-s 20] [--connects-per-s 1000]

Another process opens connections at that rate, half of which say nothing, sends frames of 10 MB on
WebSockets, and holds conversations whose answers it never reads. Beside it one caller converses
and notes how late packets are. The same without a flood comes first. Both end after the given
time. Prints one JSON line; the bar is p99 at most 0.02 s.
"""

import argparse
import asyncio
import contextlib
import json
import subprocess
import sys
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import websockets

from benchmarks.callers import INSTANT, RATE, ROOT, Server, calls, quantile, serving, turns
from benchmarks.machine import describe

_FRAME = 10 << 20
_TOO_BIG = 1009


async def _connect(host: str, port: int, counts: dict[str, int], *, silent: bool) -> None:
    try:
        reader, writer = await asyncio.open_connection(host, port)
        counts["opened"] += 1
        if not silent:
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")
        async with asyncio.timeout(5):
            answer = await reader.read(64)
        counts["answered" if answer.startswith(b"HTTP/1.1 200") else "shed"] += 1
        writer.close()
    except (OSError, TimeoutError):
        counts["failed"] += 1


async def _connects(url: str, per_s: int, until_s: float, counts: dict[str, int]) -> None:
    loop = asyncio.get_running_loop()
    address = urlsplit(url)
    assert address.hostname and address.port
    start_s, made = loop.time(), 0
    tasks: set[asyncio.Task[None]] = set()
    while loop.time() < until_s:
        due = int((loop.time() - start_s) * per_s) - made
        for i in range(due if len(tasks) < 2000 else 0):
            attempt = _connect(address.hostname, address.port, counts, silent=i % 2 == 0)
            task = asyncio.create_task(attempt)
            tasks.add(task)
            task.add_done_callback(tasks.discard)
        made += due
        await asyncio.sleep(0.01)
    for task in tasks:
        task.cancel()


async def _big_frames(url: str, until_s: float, counts: dict[str, int]) -> None:
    loop, frame = asyncio.get_running_loop(), bytes(_FRAME)
    address = url.replace("http", "ws", 1) + "/v1/stream"
    while loop.time() < until_s:
        with contextlib.suppress(OSError, websockets.WebSocketException, TimeoutError):
            async with websockets.connect(address, compression=None, max_size=None) as socket:
                counts["frames"] += 1
                try:
                    await socket.send(frame)
                    while True:
                        await socket.recv()
                except websockets.ConnectionClosed as closed:
                    counts["frames refused"] += bool(closed.rcvd and closed.rcvd.code == _TOO_BIG)
        counts["frames tried"] += 1
        await asyncio.sleep(0.2)


async def _slow_reader(url: str, until_s: float, counts: dict[str, int]) -> None:
    loop = asyncio.get_running_loop()
    address = url.replace("http", "ws", 1) + "/v1/stream?events=all"
    while loop.time() < until_s:
        with contextlib.suppress(OSError, websockets.WebSocketException, TimeoutError):
            async with websockets.connect(address, compression=None, max_queue=1) as socket:
                counts["slow readers"] += 1
                await socket.send('{"type": "text", "text": "Hello?"}')
                await asyncio.sleep(max(0.0, until_s - loop.time()))
        await asyncio.sleep(0.5)


async def attack(url: str, per_s: int, lasting_s: float) -> dict[str, int]:
    """All three, for a while."""
    names = ("opened", "answered", "shed", "failed", "slow readers")
    counts = dict.fromkeys((*names, "frames tried", "frames", "frames refused"), 0)
    until_s = asyncio.get_running_loop().time() + lasting_s
    await asyncio.gather(
        _connects(url, per_s, until_s, counts),
        *(_big_frames(url, until_s, counts) for _ in range(2)),
        *(_slow_reader(url, until_s, counts) for _ in range(3)),
    )
    return counts


async def _call(url: str, track: Any) -> dict[str, Any]:
    async with calls(url, 1, track) as heard:
        pass
    return {
        "packets": len(heard.lateness_s),
        "lateness_p50_s": quantile(heard.lateness_s, 0.5),
        "lateness_p99_s": quantile(heard.lateness_s, 0.99),
        "failures": [*heard.failures, *("refused" for _ in heard.refused)],
    }


async def measure(server: Server, per_s: int, lasting_s: float) -> dict[str, Any]:
    """A call in peace, and a call under attack."""
    url = server.url
    track = np.tile(turns(), max(1, round(lasting_s * RATE / len(turns()))))
    calm = await _call(url, track)
    before = server.packets()
    call = asyncio.create_task(_call(url, track))
    await asyncio.sleep(1.0)
    attacker = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "benchmarks.flood", "--attack", url),
        *("--connects-per-s", str(per_s), "--lasting-s", str(lasting_s - 1.0)),
        cwd=ROOT,
        stdout=subprocess.PIPE,
    )
    under_attack = await call
    told, _ = await attacker.communicate()
    # Connections are scarce until the buckets are full again.
    await asyncio.sleep(3.0)
    after = server.packets()
    sent, in_time = (after[name] - before[name] for name in ("all", "in_time"))
    under_attack["in_time_by_the_server"] = round(in_time / sent, 4) if sent else None
    return {"calm": calm, "under_attack": under_attack, "attack": json.loads(told)}


def main() -> None:
    """Measure, and print; or be the attacker."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--lasting-s", type=float, default=20.0)
    parser.add_argument("--connects-per-s", type=int, default=1000)
    parser.add_argument("--attack", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.attack:
        run = attack(options.attack, options.connects_per_s, options.lasting_s)
        print(json.dumps(asyncio.run(run)))
        return
    environ = {"DUPLEX_AGENT__GREETING": "", "DUPLEX_SERVER__MAX_SESSIONS": "8"}
    with serving(INSTANT, **environ) as server:
        result = asyncio.run(measure(server, options.connects_per_s, options.lasting_s))
    print(json.dumps({"benchmark": "flood", **result, **describe()}))


if __name__ == "__main__":
    main()
