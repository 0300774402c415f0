"""Half an hour of mixed load, and what it leaves behind.

    python -m benchmarks.soak [--minutes 30] [--callers 4] [--crowd 0]

Models answer at once. At any time some callers converse; others come and go in a second, break off
in the middle and go on, send nonsense, or are turned away. In the second third of the time
`--crowd` callers more converse. Prints one JSON line: the footprint of the server's process each
minute, what Python and the C library hold at the end of each third, what failed, and what the
server counted.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import signal
import tempfile
from pathlib import Path
from typing import Any

import numpy as np
import websockets

from benchmarks.callers import INSTANT, Heard, Server, converse, quantile, serving, turns
from benchmarks.leaks import footprint
from benchmarks.machine import describe

_COUNTED = (
    "duplex_sessions_total",
    "duplex_turns_total",
    "duplex_reconnects_total",
    "duplex_refused_total",
    "duplex_sessions_failed_total",
    "duplex_barge_ins_total",
)


async def _talk(url: str, heard: Heard, over: asyncio.Event, dice: random.Random) -> None:
    while not over.is_set():
        refused = len(heard.refused)
        await converse(url, np.tile(turns(), dice.randint(1, 4)), heard)
        if len(heard.refused) > refused:
            await asyncio.sleep(1.0)


async def _come_and_go(url: str, over: asyncio.Event, dice: random.Random) -> None:
    address = url.replace("http", "ws", 1) + "/v1/stream?events=all"
    while not over.is_set():
        with contextlib.suppress(OSError, websockets.WebSocketException, TimeoutError):
            socket = await websockets.connect(address, compression=None)
            ready = json.loads(await socket.recv())
            for _ in range(dice.randint(0, 5)):
                nonsense = dice.randbytes(dice.randint(0, 4000))
                said: list[str | bytes] = [nonsense, nonsense.hex(), '{"type": "text"}', "[]"]
                await socket.send(dice.choice(said))
            if dice.random() < 0.5:
                socket.transport.abort()
                again = await websockets.connect(f"{address}&resume={ready['resume']}")
                await again.send('{"type": "text", "text": "Hello again?"}')
                await asyncio.sleep(dice.uniform(0.0, 2.0))
                await again.close()
            else:
                await socket.close()
        await asyncio.sleep(dice.uniform(0.1, 1.0))


async def _memory(server: Server, told: Path) -> dict[str, int]:
    """Ask for another line of what `benchmarks.instant` says it holds."""
    before = told.read_text().count("\n") if told.exists() else 0
    os.kill(server.pid, signal.SIGUSR1)
    for _ in range(300):
        await asyncio.sleep(0.1)
        lines = told.read_text().splitlines() if told.exists() else []
        if len(lines) > before:
            return dict(json.loads(lines[-1]))
    raise SystemExit("the server does not tell what it holds")


async def soak(
    server: Server, told: Path, minutes: float, callers: int, crowd: int
) -> dict[str, Any]:
    """All of it at once."""
    heard, dice = Heard(), random.Random(1)
    over, left = asyncio.Event(), asyncio.Event()
    seen, held = [], []
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(_talk(server.url, heard, over, dice))
        for _ in range(2):
            group.create_task(_come_and_go(server.url, over, dice))
        for third in range(3):
            if third == 1:
                for _ in range(crowd):
                    group.create_task(_talk(server.url, heard, left, dice))
            for _ in range(max(1, round(minutes / 3))):
                await asyncio.sleep(min(60.0, minutes * 20))
                seen.append(footprint(server))
            if third == 1:
                left.set()
            held.append(await _memory(server, told))
        over.set()
    await asyncio.sleep(5.0)
    return {
        "minutes": minutes,
        "crowd": crowd,
        "each_minute": seen,
        "each_third": held,
        "after": footprint(server),
        "lateness_p99_s": quantile(heard.lateness_s, 0.99),
        "voice_to_voice_p90_s": quantile(heard.voice_to_voice_s, 0.9),
        "failures": sorted(set(heard.failures)),
        "refused": len(heard.refused),
        "counted": {name: server.metric(name) for name in _COUNTED},
    }


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--callers", type=int, default=4)
    parser.add_argument("--crowd", type=int, default=0)
    options = parser.parse_args()
    environ = {
        "DUPLEX_SERVER__MAX_SESSIONS": str(options.callers + options.crowd + 8),
        "DUPLEX_AGENT__GREETING": "",
        "DUPLEX_SERVER__REJOIN_S": "2",
        "MALLOC_ARENA_MAX": "2",
    }
    with tempfile.TemporaryDirectory() as folder:
        told = Path(folder) / "memory.jsonl"
        with serving((*INSTANT, "--memory-to", str(told)), **environ) as server:
            work = soak(server, told, options.minutes, options.callers, options.crowd)
            result = asyncio.run(work)
    print(json.dumps({"benchmark": "soak", **result, **describe()}))


if __name__ == "__main__":
    main()
