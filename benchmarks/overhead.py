"""Framework overhead: everything that is not a model, between the user's last sample and an answer.

    python -m benchmarks.overhead [--turns 100]

The models answer at once, so what remains of voice to voice, less the silence the policy asks for,
is the framework's. Real time, real event loop, real threads. Prints one JSON line.
"""

import argparse
import asyncio
import json
import statistics
import sys
from typing import Any

import numpy as np
from loguru import logger

from agent.audio.chunk import SAMPLE_RATE, samples
from agent.observe.record import TurnRecord
from agent.session import Channel, VoiceSession, close
from agent.settings import load
from agent.transports.memory import MemoryTransport
from benchmarks.instant import RATE, instant_models
from benchmarks.machine import describe

PACKET = samples(0.02)


async def main(turns: int) -> dict[str, Any]:
    """Hold a conversation of `turns` short turns."""
    settings = load(environ={"DUPLEX_AGENT__GREETING": "", "DUPLEX_TURNS__SPECULATE": "false"})
    transport = MemoryTransport(SAMPLE_RATE)
    channel = Channel("memory", RATE, delay_s=0.0)
    session = VoiceSession(settings, instant_models(settings), transport, channel, system_prompt="")
    task = asyncio.create_task(session.run())
    await transport.input().ready.wait()
    await _speak(transport, turns)
    await close(session, task, drain_s=2.0)
    overheads = [overhead for turn in session.recorder.turns[1:] if (overhead := _overhead(turn))]
    quantiles = statistics.quantiles(overheads, n=20)
    return {
        "benchmark": "framework_overhead",
        "metric": "seconds from the hop that completes the silence to the first audio taken",
        "n": len(overheads),
        "p50_s": round(statistics.median(overheads), 4),
        "p95_s": round(quantiles[-1], 4),
        **describe(),
    }


def _overhead(turn: TurnRecord) -> float | None:
    """Time after the decision's own hop arrived."""
    spans = turn.stages()
    if "first_audio_s" not in spans:
        return None
    return spans["first_audio_s"] - float(turn.decision["silence_s"])


async def _speak(transport: MemoryTransport, turns: int) -> None:
    loop = asyncio.get_running_loop()
    speech = (9000 * np.sin(np.arange(samples(0.4)) / 10)).astype(np.int16)
    one = np.concatenate([speech, np.zeros(samples(1.1), np.int16)])
    track = np.tile(one, turns)
    start_s = loop.time()
    for start in range(0, len(track), PACKET):
        await transport.input().speak(track[start : start + PACKET])
        due_s = start_s + (start + PACKET) / SAMPLE_RATE
        await asyncio.sleep(max(0.0, due_s - loop.time()))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=100, help="turns of 1.5 s")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    print(json.dumps(asyncio.run(main(options.turns))))
