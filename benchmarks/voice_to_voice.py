"""Voice to voice: from the user's last sample to the agent's first, read off the audio.

    python -m benchmarks.voice_to_voice [--turns 30] [--systems duplex,...]

Side by side in one run, each question put to all, in turn:

- `duplex`;
- `stock_services`: Pipecat's quick-start from its own services on the same weights, what one
  would build instead (`benchmarks.stock_services`; left out where its extra is not installed);
- `stock_pipeline`: the same quick-start on our repaired recogniser, our student voice and our
  warmed language model, so that only turn taking makes a difference.

Prints one JSON line.
"""

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from loguru import logger
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from agent.asr.moonshine import Moonshine
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, to_int16
from agent.audio.resample import resample
from agent.eval import stock
from agent.llm.prompt import system_prompt
from agent.models.store import locate
from agent.processors.language import Language
from agent.runtimes import Runtimes
from agent.session import Channel, Models, VoiceSession
from agent.settings import Settings, load
from agent.transports.memory import MemoryTransport
from benchmarks import stock_services
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


_SLOWEST = 3
"""Questions named in the report, with their latencies."""


@dataclass
class Party:
    """One pipeline under test, and what came of the questions put to it."""

    transport: MemoryTransport
    runner: asyncio.Task[None]
    session: VoiceSession | None = None
    latencies: list[tuple[float, str]] = field(default_factory=list)
    unanswered: int = 0


async def main(turns: int, systems: list[str]) -> dict[str, Any]:
    """Put every question to all systems."""
    settings = load(environ={"DUPLEX_AGENT__GREETING": ""})
    runtimes = Runtimes(settings)
    models = await runtimes.load()
    left_out: dict[str, str] = {}
    if STOCK_SERVICES in systems and (lacking := stock_services.missing()):
        left_out[STOCK_SERVICES] = lacking
    try:
        parties = {
            name: await _SYSTEMS[name](settings, models) for name in systems if name not in left_out
        }
        for i in range(turns):
            text = QUESTIONS[i % len(QUESTIONS)]
            question = _spoken(text)
            for party in parties.values():
                latency = await _ask(party, question)
                if latency is None:
                    party.unanswered += 1
                else:
                    party.latencies.append((latency, text))
        for party in parties.values():
            party.runner.cancel()
        await asyncio.wait([party.runner for party in parties.values()])
        return _report(parties, turns) | ({"left_out": left_out} if left_out else {})
    finally:
        await runtimes.close()


async def _duplex(settings: Settings, models: Models) -> Party:
    transport = MemoryTransport(SAMPLE_RATE)
    channel = Channel("memory", OUT_RATE, delay_s=0.0)
    session = VoiceSession(
        settings,
        models,
        transport,
        channel,
        system_prompt=system_prompt(settings.agent.instructions),
    )
    runner = asyncio.create_task(session.run())
    await transport.input().ready.wait()
    return Party(transport, runner, session)


async def _stock_pipeline(settings: Settings, models: Models) -> Party:
    return await _stock(
        stock.SegmentedMoonshine(Moonshine(locate(settings.asr.model))),
        models.language(system_prompt(settings.agent.instructions)),
        stock.SentenceVoice(models.voice),
    )


async def _stock_services(settings: Settings, models: Models) -> Party:
    prompt = system_prompt(settings.agent.instructions)
    ours = models.language(prompt)
    assert isinstance(ours, Language)
    return await _stock(
        stock_services.recogniser(),
        stock_services.language(ours.request, prompt),
        stock_services.voice(),
    )


async def _stock(
    recogniser: FrameProcessor, language: FrameProcessor, voice: FrameProcessor
) -> Party:
    transport = MemoryTransport(SAMPLE_RATE)
    worker = PipelineWorker(
        stock.pipeline(transport, recogniser, language, voice),
        params=PipelineParams(audio_in_sample_rate=SAMPLE_RATE, audio_out_sample_rate=OUT_RATE),
        enable_rtvi=False,
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    task = asyncio.create_task(runner.run())
    await transport.input().ready.wait()
    return Party(transport, task)


DUPLEX, STOCK_SERVICES, STOCK_PIPELINE = "duplex", "stock_services", "stock_pipeline"
_SYSTEMS: dict[str, Callable[[Settings, Models], Awaitable[Party]]] = {
    DUPLEX: _duplex,
    STOCK_SERVICES: _stock_services,
    STOCK_PIPELINE: _stock_pipeline,
}


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


def _report(parties: dict[str, Party], turns: int) -> dict[str, Any]:
    figures: dict[str, dict[str, Any]] = {}
    for name, party in parties.items():
        figures[name] = _quantiles(party.latencies) | {"unanswered": party.unanswered}
        if party.session:
            figures[name] |= _of_the_session(party.session, turns)
    ours = figures.get(DUPLEX, {})
    ratios = {
        f"{quantile[:3]}_to_{name}": round(ours[quantile] / other[quantile], 3)
        for name, other in figures.items()
        for quantile in ("p50_s", "p90_s")
        if ours and name != DUPLEX
    }
    return {
        "benchmark": "voice_to_voice",
        "metric": "seconds from the user's last audible sample to the agent's first",
        "systems": figures,
        "ratios": ratios,
        **describe(),
    }


def _quantiles(latencies: list[tuple[float, str]]) -> dict[str, Any]:
    values = [latency for latency, _ in latencies]
    return {
        "n": len(values),
        "p50_s": round(statistics.median(values), 3),
        "p90_s": round(statistics.quantiles(values, n=10)[-1], 3),
        "slowest": [[round(s, 3), text] for s, text in sorted(latencies)[: -_SLOWEST - 1 : -1]],
    }


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
    parser.add_argument("--turns", type=int, default=30, help="questions put to each, 2 or more")
    parser.add_argument(
        "--systems",
        type=lambda names: names.split(","),
        default=list(_SYSTEMS),
        help=f"of {', '.join(_SYSTEMS)}, separated by commas",
    )
    options = parser.parse_args()
    if options.turns < 2 or not set(options.systems) <= set(_SYSTEMS):
        parser.error(f"at least 2 turns, and systems of {', '.join(_SYSTEMS)}")
    logger.remove()
    logger.add(sys.stderr, level="ERROR")
    print(json.dumps(asyncio.run(main(options.turns, options.systems))))
