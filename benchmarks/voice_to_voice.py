"""Voice to voice: from the user's last sample to the agent's first, read off the audio.

    python -m benchmarks.voice_to_voice [--turns 30]

Ours and a stock Pipecat pipeline from the same models, side by side in one run: each question is
put to both, in turn. Prints one JSON line.
"""

import argparse
import asyncio
import json
import statistics
import sys
from dataclasses import dataclass
from typing import Any

import numpy as np
from loguru import logger
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.workers.runner import WorkerRunner

from agent.asr.moonshine import Moonshine
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, to_int16
from agent.audio.resample import resample
from agent.llm.prompt import system_prompt
from agent.models.store import locate
from agent.runtimes import Runtimes
from agent.session import Channel, Models, VoiceSession
from agent.settings import Settings, load
from agent.transports.memory import MemoryTransport
from benchmarks import stock
from benchmarks.machine import describe

QUESTIONS = (
    "What is the capital of France?",
    "How many days are in a week?",
    "What colour is the sky?",
    "Who wrote Romeo and Juliet?",
    "What do bees make?",
    "How many legs does a spider have?",
    "Can you recommend a good breakfast?",
    "What should I wear when it rains?",
    "Is water wet?",
    "What is two plus two?",
    "Tell me something about the moon.",
    "What is your name?",
    "Where do penguins live?",
    "How do I boil an egg?",
    "What is a good name for a dog?",
)
OUT_RATE = 24_000
PACKET = samples(0.02)
LOUD = 300
"""Absolute sample value that counts as sound: 20 dB over the simulated room's noise."""

ANSWER_WITHIN_S = 15.0
REST_S = 1.0


@dataclass
class Party:
    """One pipeline under test."""

    name: str
    transport: MemoryTransport
    runner: asyncio.Task[None]
    session: VoiceSession | None


async def main(turns: int) -> dict[str, Any]:
    """Put every question to both pipelines."""
    settings = load(environ={"DUPLEX_AGENT__GREETING": ""})
    runtimes = Runtimes(settings)
    models = await runtimes.load()
    try:
        parties = [await _ours(settings, models), await _stock(settings, models)]
        latencies: dict[str, list[float]] = {party.name: [] for party in parties}
        unanswered: dict[str, int] = {party.name: 0 for party in parties}
        for i in range(turns):
            question = _spoken(QUESTIONS[i % len(QUESTIONS)])
            for party in parties:
                latency = await _ask(party, question)
                if latency is None:
                    unanswered[party.name] += 1
                else:
                    latencies[party.name].append(latency)
        for party in parties:
            party.runner.cancel()
        await asyncio.wait([party.runner for party in parties])
        return _report(parties, latencies, unanswered)
    finally:
        await runtimes.close()


async def _ours(settings: Settings, models: Models) -> Party:
    transport = MemoryTransport(SAMPLE_RATE)
    prompt = system_prompt(settings.agent.instructions)
    channel = Channel("memory", OUT_RATE, delay_s=0.0)
    session = VoiceSession(settings, models, transport, channel, system_prompt=prompt)
    runner = asyncio.create_task(session.run())
    await transport.input().ready.wait()
    return Party("duplex", transport, runner, session)


async def _stock(settings: Settings, models: Models) -> Party:
    transport = MemoryTransport(SAMPLE_RATE)
    pipeline = stock.pipeline(
        transport,
        Moonshine(locate(settings.asr.model)),
        models.language(system_prompt(settings.agent.instructions)),
        models.voice,
    )
    worker = PipelineWorker(
        pipeline,
        params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE, audio_out_sample_rate=OUT_RATE),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    task = asyncio.create_task(runner.run())
    await transport.input().ready.wait()
    return Party("stock pipecat", transport, task, None)


def _spoken(text: str) -> Int16Array:
    from hibari import Hibari

    voice = _spoken.__dict__.setdefault("voice", Hibari())
    pcm = resample(to_int16(voice(text, seed=1)), 24_000, SAMPLE_RATE)
    # Up to the last sample that can be heard: that is when the user has finished.
    return pcm[: int(np.flatnonzero(np.abs(pcm) > LOUD)[-1]) + 1]


async def _ask(party: Party, question: Int16Array) -> float | None:
    """Speak, and return the silence before the answer in seconds; None without one."""
    loop = asyncio.get_running_loop()
    noise = np.random.default_rng(0)
    output = party.transport.output()
    track = np.concatenate([np.zeros(samples(0.5), np.int16), question])
    start_s, sent = loop.time(), 0
    asked_s = answer_s = quiet_since = None
    while True:
        packet = track[sent : sent + PACKET] if sent < len(track) else np.zeros(PACKET, np.int16)
        floor = noise.normal(0.0, 4.0, len(packet))
        await party.transport.input().speak((packet + floor).astype(np.int16))
        sent += len(packet)
        await asyncio.sleep(max(0.0, start_s + sent / SAMPLE_RATE - loop.time()))
        now = loop.time()
        if asked_s is None and sent >= len(track):
            asked_s, heard = now, len(output.packets)
        if asked_s is None:
            continue
        new = [at for at, pcm in output.packets[heard:] if np.abs(pcm).max() > LOUD]
        if new and answer_s is None:
            answer_s = new[0] + output.origin_s
        last = new[-1] + output.origin_s if new else asked_s
        quiet_since = now - last
        if answer_s is not None and quiet_since > REST_S:
            return answer_s - asked_s
        if answer_s is None and now - asked_s > ANSWER_WITHIN_S:
            return None


def _report(
    parties: list[Party], latencies: dict[str, list[float]], unanswered: dict[str, int]
) -> dict[str, Any]:
    figures: dict[str, Any] = {}
    for party in parties:
        figures[party.name] = _quantiles(latencies[party.name])
        figures[party.name]["unanswered"] = unanswered[party.name]
        if party.session:
            figures[party.name] |= _of_the_session(party.session, turns=len(latencies[party.name]))
    ours, theirs = (figures[party.name]["p50_s"] for party in parties)
    return {
        "benchmark": "voice_to_voice",
        "metric": "seconds from the user's last audible sample to the agent's first",
        "systems": figures,
        "ratio_p50": round(ours / theirs, 3),
        **describe(),
    }


def _quantiles(values: list[float]) -> dict[str, Any]:
    p90 = statistics.quantiles(values, n=10)[-1]
    return {"n": len(values), "p50_s": round(statistics.median(values), 3), "p90_s": round(p90, 3)}


def _of_the_session(session: VoiceSession, turns: int) -> dict[str, Any]:
    """What only our own records tell: each question is one turn, whose answer is asked for once."""
    records = session.recorder.turns[1:]
    return {
        "stages_p50_s": _stages(session),
        "cut_offs": max(0, len(records) - turns),
        "model_calls_per_turn": round(sum(r.model_calls for r in records) / max(turns, 1), 2),
    }


def _stages(session: VoiceSession) -> dict[str, float]:
    records = [record.stages() for record in session.recorder.turns[1:]]
    names = sorted({name for record in records for name in record})
    return {
        name: round(statistics.median(r[name] for r in records if name in r), 3) for name in names
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--turns", type=int, default=30, help="questions put to each pipeline")
    options = parser.parse_args()
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    print(json.dumps(asyncio.run(main(options.turns))))
