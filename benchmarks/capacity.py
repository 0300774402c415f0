"""How many conversations at once this machine holds.

    python -m benchmarks.capacity [--models instant|real] [--sessions 20] [--lasting-s 20]

Without --sessions it doubles their number, from --first on, until a target is missed, then halves
the gap. Callers
run in a process of their own on the same machine, so they take part of it. The targets: speech
packets p99 at most 20 ms behind their schedule, and with real models voice to voice p90 at most
1.5 s. Prints one JSON line; `max_sessions` is what `server.max_sessions` should be.

With --models real, callers ask a spoken question again and again.
"""

import argparse
import asyncio
import json
from typing import Any

import numpy as np

from benchmarks.callers import INSTANT, RATE, REAL, Heard, Server, calls, quantile, serving, turns
from benchmarks.machine import describe

LATENESS_S = 0.02
VOICE_TO_VOICE_S = 1.5
_MOST = {"instant": 256, "real": 16}
"""A language model here keeps memory for each conversation there may be."""


async def measure(server: Server, sessions: int, track: Any) -> dict[str, Any]:
    """Hold that many conversations at once."""
    before_s = server.cpu_s()
    async with calls(server.url, sessions, track) as heard:
        pass
    used_s = server.cpu_s() - before_s
    return {
        "sessions": sessions,
        "packets": len(heard.lateness_s),
        "lateness_p50_s": quantile(heard.lateness_s, 0.5),
        "lateness_p99_s": quantile(heard.lateness_s, 0.99),
        "turns": len(heard.voice_to_voice_s),
        "voice_to_voice_p50_s": quantile(heard.voice_to_voice_s, 0.5),
        "voice_to_voice_p90_s": quantile(heard.voice_to_voice_s, 0.9),
        "cores_per_session": round(used_s * RATE / len(track) / sessions, 4),
        "failures": len(heard.failures) + len(heard.refused),
        "holds": _holds(heard, sessions),
    }


def _holds(heard: Heard, sessions: int) -> bool:
    lateness = quantile(heard.lateness_s, 0.99)
    took = quantile(heard.voice_to_voice_s, 0.9)
    return (
        not heard.failures
        and not heard.refused
        and len(heard.voice_to_voice_s) >= sessions
        and lateness is not None
        and lateness <= LATENESS_S
        and took is not None
        and took <= VOICE_TO_VOICE_S
    )


async def search(server: Server, track: Any, first: int, most: int) -> list[dict[str, Any]]:
    """Every number tried; the largest that holds is the answer."""
    tried: list[dict[str, Any]] = []
    low, high = 0, first
    while high <= most:
        tried.append(await measure(server, high, track))
        if not tried[-1]["holds"]:
            break
        low, high = high, high * 2
    while high - low > max(1, low // 8):
        middle = (low + high) // 2
        tried.append(await measure(server, middle, track))
        low, high = (middle, high) if tried[-1]["holds"] else (low, middle)
    return tried


def _track(models: str, lasting_s: float) -> Any:
    if models == "instant":
        one = turns()
    else:
        from tests.speech import spoken

        question = spoken("What is the capital of France?")
        one = np.concatenate([question, np.zeros(6 * RATE, np.int16)])
    return np.tile(one, max(1, round(lasting_s * RATE / len(one))))


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--models", choices=("instant", "real"), default="instant")
    parser.add_argument("--sessions", type=int, help="only this many")
    parser.add_argument("--first", type=int, default=1, help="number to begin with")
    parser.add_argument("--lasting-s", type=float, default=20.0, help="of each try")
    options = parser.parse_args()
    command = INSTANT if options.models == "instant" else REAL
    most = _MOST[options.models]
    environ = {
        "DUPLEX_SERVER__MAX_SESSIONS": str(most),
        "DUPLEX_SERVER__MAX_CONNECTIONS": "1024",
        "DUPLEX_AGENT__GREETING": "",
    }
    track = _track(options.models, options.lasting_s)
    with serving(command, **environ) as server:
        if options.sessions:
            tried = [asyncio.run(measure(server, options.sessions, track))]
        else:
            tried = asyncio.run(search(server, track, options.first, most))
    print(
        json.dumps(
            {
                "benchmark": "capacity",
                "models": options.models,
                "max_sessions": max((one["sessions"] for one in tried if one["holds"]), default=0),
                "tried": tried,
                **describe(),
            }
        )
    )


if __name__ == "__main__":
    main()
