"""Is the goodbye heard to its end before we hang up? Real calls from sipp, counted at their ears.

    python -m benchmarks.farewells [--calls 100]

Each call is ended by the agent while its greeting still sounds, at a moment of its own, in one of
three ways: a flow's `End`, `talk.end` and `call.hang_up`. What reached the caller is listened to:
greeting and farewell are a tone of known length. Prints one JSON line; asserts nothing. Needs
Debian's sip-tester.
"""

import argparse
import asyncio
import json
import random
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

from agent.agent import Agent
from agent.conversation import Conversation
from agent.flow import End, Flow
from agent.server.telephone import telephone
from agent.transports.sip.g711 import PCMU
from benchmarks.machine import describe
from tests.sip import scenarios
from tests.sip.household import WORD_S, sessions
from tests.sip.peers import Ear, sipp

GREETING = "one two three four"
FAREWELL = "five six seven eight nine"
_LENGTH_S = WORD_S * len(f"{GREETING} {FAREWELL}".split())

_MISSING_S = 0.03
"""A word's edges are below what is counted as sound."""

_AT_ONCE = 5


def _ending(chance: random.Random) -> Agent:
    """An agent that takes leave after a moment."""
    wait_s, way = chance.uniform(0.0, 1.2), chance.choice(("end", "talk", "call"))
    flow: Flow[Any] = Flow()

    @flow.step
    async def leave(talk: Conversation[Any]) -> End | None:
        await asyncio.sleep(wait_s)
        if way == "end":
            return End(FAREWELL)
        if way == "talk":
            await talk.end(FAREWELL)
        else:
            await talk.say(FAREWELL)
            assert talk.call
            await talk.call.hang_up()
        return None

    return Agent(greeting=GREETING, flow=flow)


def _sounding_s(payloads: list[bytes]) -> float:
    """Seconds of a call in which the tone was heard."""
    pcm = PCMU.decode(b"".join(payloads)).astype(np.int32)
    hops = np.abs(pcm[: len(pcm) // 80 * 80].reshape(-1, 80)).max(axis=1)
    return float((hops > 1000).sum() / 100)


async def measure(calls: int) -> dict[str, object]:
    """Let sipp place `calls` calls, and listen to each."""
    chance = random.Random(5)
    household = sessions(
        agent=lambda: _ending(chance),
        sip={"enabled": True, "port": 0},
        server={"max_sessions": _AT_ONCE + 1},
    )
    ear = Ear()
    steps = [scenarios.invited(str(ear.port)), scenarios.answer_request("BYE")]
    async with telephone(household) as server:
        assert server is not None
        with tempfile.TemporaryDirectory() as name:
            limits = ["-m", str(calls), "-l", str(_AT_ONCE), "-r", "2"]
            limits += ["-timeout", f"{60 + 4 * calls}s"]
            run = sipp(scenarios.scenario(*steps), server.address[1], Path(name), *limits)
            code = await asyncio.to_thread(run.process.wait, 60 + 4 * calls)
        await household.drain()
    ear.pcm()
    by_call: dict[int, list[bytes]] = {}
    for packet in ear.packets:
        by_call.setdefault(packet.ssrc, []).append(packet.payload)
    heard = [_sounding_s(payloads) for payloads in by_call.values()]
    return {
        "calls": len(heard),
        "failed": code,
        "heard_to_the_end": sum(length >= _LENGTH_S - _MISSING_S for length in heard),
        "expected_s": round(_LENGTH_S, 2),
        "shortest_s": min(heard, default=0.0),
        "longest_s": max(heard, default=0.0),
    }


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=100)
    figures = asyncio.run(measure(parser.parse_args().calls))
    print(json.dumps({"benchmark": "farewells", **figures, **describe()}))


if __name__ == "__main__":
    main()
