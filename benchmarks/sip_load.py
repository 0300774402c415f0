"""Concurrent telephone calls from sipp: how late our packets leave, and whether they all arrive.

    python -m benchmarks.sip_load [--calls 20] [--seconds 10]

Real signalling, real RTP, the whole pipeline with models that cost nothing: what is measured is the
framework. Every caller hears an answer for the whole of the call and speaks himself. Beside it runs
a process that does nothing but wake up every 20 ms: what it sleeps too long is the machine's, not
ours, and on a quiet one it is nothing. Prints one JSON line; asserts nothing. Needs Debian's
sip-tester.
"""

import argparse
import asyncio
import json
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

import numpy as np

from agent.server.serve import keep_what_is_loaded
from agent.server.telephone import telephone
from agent.transports.pacing import PACKET_S, Lateness, PacedQueue
from agent.transports.sip.call import SipCall
from agent.transports.sip.g711 import PCMU
from benchmarks.machine import describe
from tests.sip import scenarios
from tests.sip.household import sessions
from tests.sip.peers import sipp

_CALLS_PER_S = 10


async def _idle() -> None:
    """Wake up every 20 ms until standard input ends; print how late that was."""
    queue = PacedQueue(8_000)

    def until_told() -> None:
        sys.stdin.read()
        queue.close()

    threading.Thread(target=until_told, daemon=True).start()
    async for _ in queue.packets():
        pass
    print(json.dumps(_late("idle", queue.lateness)))


def _late(name: str, lateness: Lateness) -> dict[str, int]:
    shares = {"p50": 0.5, "p95": 0.95, "p99": 0.99}
    return {
        f"{name}_{key}_ms": round(1000 * lateness.percentile_s(share))
        for key, share in shares.items()
    }


async def measure(calls: int, seconds: float) -> dict[str, object]:
    """Let sipp place `calls` calls, each of `seconds`, and add up what their lines say."""
    # Before anything is measured; its block ends what a failure would leave waiting for ever.
    command = [sys.executable, "-m", "benchmarks.sip_load", "--idle"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as idle:  # noqa: ASYNC220
        return await _measured(calls, seconds, idle)


async def _measured(
    calls: int, seconds: float, idle: "subprocess.Popen[bytes]"
) -> dict[str, object]:
    answer = " ".join(["word"] * round(seconds / 0.2))
    sip = {"enabled": True, "port": 0}
    household = sessions(answer, greeting=answer, sip=sip, server={"max_sessions": calls})
    lateness, received, lost = Lateness(), 0, 0
    taken: list[SipCall] = []
    async with telephone(household) as server:
        assert server is not None
        keep_what_is_loaded()
        with tempfile.TemporaryDirectory() as name:
            directory = Path(name)
            # Quiet speech: it is received and looked at, and does not interrupt.
            murmur = np.random.default_rng(0).normal(0, 200, round(seconds * 8000))
            (directory / scenarios.SPEECH).write_bytes(PCMU.encode(murmur.astype(np.int16)))
            steps = [scenarios.invited(), scenarios.play(), scenarios.pause(seconds)]
            text = scenarios.scenario(*steps, scenarios.bye(2))
            rate = ["-m", str(calls), "-l", str(calls), "-r", str(_CALLS_PER_S)]
            run = sipp(text, server.address[1], directory, *rate)
            media = set()
            worked_s = time.process_time()
            while run.process.poll() is None:
                taken += [call for call in server.calls if call not in taken]
                media |= {call.audio.media for call in taken if call.audio.media}
                await asyncio.sleep(0.1)
            worked_s = time.process_time() - worked_s
        beside, _ = idle.communicate(timeout=30)
        for session in media:
            if session.out:
                lateness.merge(session.out.lateness)
            received += session.received.received
            lost += session.received.lost
        await household.drain()
    return {
        "calls": len(taken),
        "failed": run.process.returncode,
        "packets_sent": lateness.packets,
        **_late("late", lateness),
        **json.loads(beside),
        # What a busy machine does not change: the share of a core that a call takes.
        "core_per_call": round(worked_s / (lateness.packets * PACKET_S), 4),
        "packets_received": received,
        "packets_lost": lost,
    }


def main() -> None:
    """Print one JSON line."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--calls", type=int, default=20)
    parser.add_argument("--seconds", type=float, default=10.0)
    parser.add_argument("--idle", action="store_true", help="only wake up, beside a measurement")
    options = parser.parse_args()
    if options.idle:
        asyncio.run(_idle())
        return
    figures = asyncio.run(measure(options.calls, options.seconds))
    print(json.dumps({"benchmark": "sip_load", **figures, **describe()}))


if __name__ == "__main__":
    main()
