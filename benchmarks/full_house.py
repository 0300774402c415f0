"""Whom a server with `max_sessions: auto` lets in, and how those it has fare.

    python -m benchmarks.full_house [--callers 60] [--seconds 60] [--models instant|real]

Callers come one after the other over the first two thirds of the time and talk to its end; who is
told 503 comes back when he was told to. They run in a process of their own on the same machine.
Prints one JSON line: every five seconds how many are held, what the server would hold, and the
share of packets of speech that left more than 20 ms late, by its own count; how many were refused,
and how many of these without a time to come back.
"""

import argparse
import asyncio
import json
from typing import Any

import numpy as np

from benchmarks.callers import (
    INSTANT,
    RATE,
    REAL,
    Heard,
    Server,
    converse,
    quantile,
    serving,
    turns,
)
from benchmarks.machine import describe

_EACH_S = 5.0


async def _come(url: str, track: Any, heard: Heard, after_s: float, end_s: float) -> None:
    clock = asyncio.get_running_loop().time
    await asyncio.sleep(after_s)
    while (left_s := end_s - clock()) > 1.0:
        told = len(heard.refused)
        await converse(url, np.resize(track, round(left_s * RATE)), heard)
        if len(heard.refused) > told:
            await asyncio.sleep(min(heard.refused[-1] or 1.0, max(0.0, end_s - clock())))


async def fill(server: Server, track: Any, callers: int, lasting_s: float) -> dict[str, Any]:
    """Let them come, and watch."""
    heard, seen = Heard(), []
    end_s = asyncio.get_running_loop().time() + lasting_s
    before = await asyncio.to_thread(server.packets)
    async with asyncio.TaskGroup() as group:
        for number in range(callers):
            after_s = number * lasting_s * 2 / 3 / callers
            group.create_task(_come(server.url, track, heard, after_s, end_s))
        for _ in range(round(lasting_s / _EACH_S)):
            await asyncio.sleep(_EACH_S)
            now = await asyncio.to_thread(server.packets)
            sent = now["all"] - before["all"]
            late = sent - (now["in_time"] - before["in_time"])
            before = now
            held = await asyncio.to_thread(server.metric, "duplex_sessions_active")
            limit = await asyncio.to_thread(server.metric, "duplex_sessions_limit")
            share = round(late / sent, 4) if sent else 0.0
            seen.append({"held": int(held), "limit": int(limit), "late_share": share})
    return {
        "callers": callers,
        "seconds": lasting_s,
        "each_5_s": seen,
        "most_held": max(one["held"] for one in seen),
        "refused": len(heard.refused),
        "refused_without_retry_after": heard.refused.count(None),
        "lateness_p50_s": quantile(heard.lateness_s, 0.5),
        "lateness_p99_s": quantile(heard.lateness_s, 0.99),
        "voice_to_voice_p90_s": quantile(heard.voice_to_voice_s, 0.9),
        "failures": sorted(set(heard.failures)),
    }


def main() -> None:
    """Run, and print."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--callers", type=int, default=60)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--models", choices=("instant", "real"), default="instant")
    options = parser.parse_args()
    environ = {
        "DUPLEX_SERVER__MAX_SESSIONS": "auto",
        "DUPLEX_SERVER__MAX_CONNECTIONS": "1024",
        "DUPLEX_AGENT__GREETING": "",
    }
    if options.models == "instant":
        command: tuple[str, ...] = INSTANT
        track = turns()
    else:
        from tests.speech import spoken

        question = spoken("What is the capital of France?")
        command, track = REAL, np.concatenate([question, np.zeros(6 * RATE, np.int16)])
    with serving(command, **environ) as server:
        result = asyncio.run(fill(server, track, options.callers, options.seconds))
    print(json.dumps({"benchmark": "full_house", "models": options.models, **result, **describe()}))


if __name__ == "__main__":
    main()
