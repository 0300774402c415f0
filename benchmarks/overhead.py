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
from collections.abc import Iterator
from typing import Any

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, samples
from agent.observe.record import TurnRecord
from agent.runtimes import policy_settings
from agent.session import Channel, Models, VoiceSession, close
from agent.settings import load
from agent.transports.memory import MemoryTransport
from agent.tts.speech import Speech, SpokenWord
from agent.turns.policy import FusedPolicy
from benchmarks.machine import describe

RATE = 24_000
PACKET = samples(0.02)


class InstantPosterior:
    """What is loud is speech."""

    def step(self, window: Float32Array, state: Float32Array) -> tuple[float, Float32Array]:
        """One hop."""
        return (0.99 if np.abs(window).max() > 0.05 else 0.01), state


class InstantProsody:
    """Always finished."""

    def score(self, _pcm: Int16Array) -> float:
        """One score."""
        return 0.9


class InstantRecogniser:
    """Always hears the same."""

    def start(self, utterance_id: int, start_sample: int) -> None:
        """Begin."""
        self._id, self._start, self._end = utterance_id, start_sample, start_sample

    def push(self, pcm: Int16Array, is_speech: bool = True) -> Hypothesis | None:
        """Take audio."""
        self._end += len(pcm)
        return None

    def settle(self) -> Hypothesis:
        """Give the text."""
        return Hypothesis(self._id, "Hello there.", (), False, self._start, self._end)

    def finish(self) -> Hypothesis:
        """Give the final."""
        return Hypothesis(self._id, "Hello there.", (), True, self._start, self._end)


class InstantLanguage(FrameProcessor):
    """Answers at once. Not a language service: speculation would need its gate."""

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Answer a context."""
        await super().process_frame(frame, direction)
        if not isinstance(frame, LLMContextFrame):
            await self.push_frame(frame, direction)
            return
        await self.push_frame(LLMFullResponseStartFrame())
        await self.push_frame(LLMTextFrame("Hello."))
        await self.push_frame(LLMFullResponseEndFrame())


class InstantVoice:
    """Speaks a short tone."""

    name = "instant"
    sample_rate = RATE

    def speak(self, clause: str) -> Iterator[Speech]:
        """One clause."""
        tone = (8000 * np.sin(np.arange(RATE // 5) / 10)).astype(np.int16)
        yield Speech(tone, RATE, (SpokenWord(clause, 0.0, 0.2),))


async def main(turns: int) -> dict[str, Any]:
    """Hold a conversation of `turns` short turns."""
    settings = load(environ={"DUPLEX_AGENT__GREETING": "", "DUPLEX_TURNS__SPECULATE": "false"})
    models = Models(
        silero=InstantPosterior(),  # type: ignore[arg-type]
        smart_turn=InstantProsody(),  # type: ignore[arg-type]
        recogniser=InstantRecogniser,
        policy=lambda: FusedPolicy(policy_settings(settings.turns)),
        voice=InstantVoice(),
        language=lambda _prompt: InstantLanguage(),
        names={},
    )
    transport = MemoryTransport(SAMPLE_RATE)
    channel = Channel("memory", RATE, delay_s=0.0)
    session = VoiceSession(settings, models, transport, channel, system_prompt="")
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
