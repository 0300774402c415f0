"""Half an hour of mixed load, and what it leaves behind.

    python -m benchmarks.soak [--minutes 30] [--callers 4]

Models answer at once. At any time some callers converse; others come and go in a second, break off
in the middle and go on, send nonsense, or are turned away. Prints one JSON line: the footprint of
the server's process each minute, what failed, and what the server counted.
"""

import argparse
import asyncio
import contextlib
import json
import random
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
        await converse(url, np.tile(turns(), dice.randint(1, 4)), heard)


async def _come_and_go(url: str, over: asyncio.Event, dice: random.Random) -> None:
    address = url.replace("http", "ws", 1) + "/v1/stream?events=all"
    while not over.is_set():
        with contextlib.suppress(OSError, websockets.WebSocketException, TimeoutError):
            socket = await websockets.connect(address, compression=None)
            ready = json.loads(await socket.recv())
            for _ in range(dice.randint(0, 5)):
                nonsense = dice.randbytes(dice.randint(0, 4000))
                await socket.send(dice.choice([nonsense, nonsense.hex(), '{"type": "text"}', "[]"]))
            if dice.random() < 0.5:
                socket.transport.abort()
                again = await websockets.connect(f"{address}&resume={ready['resume']}")
                await again.send('{"type": "text", "text": "Hello again?"}')
                await asyncio.sleep(dice.uniform(0.0, 2.0))
                await again.close()
            else:
                await socket.close()
        await asyncio.sleep(dice.uniform(0.1, 1.0))


async def soak(server: Server, minutes: float, callers: int) -> dict[str, Any]:
    """All of it at once."""
    over, heard, dice = asyncio.Event(), Heard(), random.Random(1)
    async with asyncio.TaskGroup() as group:
        for _ in range(callers):
            group.create_task(_talk(server.url, heard, over, dice))
        for _ in range(2):
            group.create_task(_come_and_go(server.url, over, dice))
        seen = []
        for _ in range(max(1, round(minutes))):
            await asyncio.sleep(min(60.0, minutes * 60))
            seen.append(footprint(server))
        over.set()
    await asyncio.sleep(5.0)
    return {
        "minutes": minutes,
        "each_minute": seen,
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
    options = parser.parse_args()
    environ = {
        "DUPLEX_SERVER__MAX_SESSIONS": str(options.callers + 4),
        "DUPLEX_AGENT__GREETING": "",
        "DUPLEX_SERVER__REJOIN_S": "2",
        "MALLOC_ARENA_MAX": "2",
    }
    with serving(INSTANT, **environ) as server:
        result = asyncio.run(soak(server, options.minutes, options.callers))
    print(json.dumps({"benchmark": "soak", **result, **describe()}))


if __name__ == "__main__":
    main()
