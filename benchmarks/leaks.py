"""What a thousand conversations leave behind in the server's process.

    python -m benchmarks.leaks [--sessions 1000] [--at-once 10]

Short conversations with models that answer at once: one typed turn each. After four tenths of them
(warm-up) the resident memory is noted at each further tenth; `slope_kb` is the line through these,
in KB for each conversation. Threads, file descriptors and conversations are compared with those
before the first. Prints one JSON line.
"""

import argparse
import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import websockets

from benchmarks.callers import INSTANT, Server, serving
from benchmarks.machine import describe

_SETTLE_S = 3.0
_WARM_UP = 4


async def _one(url: str) -> None:
    """A conversation: ready, a question, its answer, goodbye."""
    address = url.replace("http", "ws", 1) + "/v1/stream?events=all"
    async with websockets.connect(address, compression=None, open_timeout=60) as socket:
        await socket.send('{"type": "text", "text": "Hello?"}')
        async for message in socket:
            if isinstance(message, str) and json.loads(message)["type"] == "turn":
                return


async def many(url: str, count: int, at_once: int) -> None:
    """Hold `count` conversations, `at_once` of them at a time."""
    places = asyncio.Semaphore(at_once)

    async def hold() -> None:
        async with places:
            await _one(url)

    async with asyncio.TaskGroup() as group:
        for _ in range(count):
            group.create_task(hold())


def footprint(server: Server) -> dict[str, int]:
    """Of the server's process, its garbage collected."""
    process = Path(f"/proc/{server.pid}")
    fields = dict(
        line.split(":", 1) for line in (process / "status").read_text("utf-8").splitlines()
    )
    return {
        "rss_kb": int(fields["VmRSS"].split()[0]),
        "threads": int(fields["Threads"]),
        "descriptors": len(list((process / "fd").iterdir())),
        "sessions": int(server.metric("duplex_sessions_active")),
        "tasks": int(server.metric("duplex_tasks")),
    }


async def measure(server: Server, sessions: int, at_once: int) -> dict[str, Any]:
    """Hold them, and see what stays."""
    step = max(1, sessions // 10)
    await many(server.url, _WARM_UP * step, at_once)
    await asyncio.sleep(_SETTLE_S)
    before = footprint(server)
    seen = [(0, before["rss_kb"])]
    for _ in range(10 - _WARM_UP):
        await many(server.url, step, at_once)
        await asyncio.sleep(_SETTLE_S)
        seen.append((seen[-1][0] + step, footprint(server)["rss_kb"]))
    counts, sizes = zip(*seen, strict=True)
    return {
        "sessions": 10 * step,
        "slope_kb": round(float(np.polyfit(counts, sizes, 1)[0]), 2),
        "rss_kb": sizes,
        "before": before,
        "after": footprint(server),
    }


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=10)
    options = parser.parse_args()
    environ = {
        "DUPLEX_SERVER__MAX_SESSIONS": str(4 * options.at_once),
        "DUPLEX_AGENT__GREETING": "",
        # Arenas of glibc for each thread look like a leak until they are all in use.
        "MALLOC_ARENA_MAX": "2",
    }
    with serving(INSTANT[:2], **environ) as server:
        result = asyncio.run(measure(server, options.sessions, options.at_once))
    print(json.dumps({"benchmark": "leaks", **result, **describe()}))


if __name__ == "__main__":
    main()
