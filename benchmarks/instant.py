"""Models that answer at once: what remains of a server with them is the framework.

    python -m benchmarks.instant [--port 0] [--answer-s 0.2]

serves them as `duplex serve` serves the real ones, with the same settings from the environment.
At each SIGUSR1 it appends a JSON line to `--memory-to`: what Python and the C library hold, and how
much stays resident when the C library has given back what is free (glibc only).
"""

import argparse
import asyncio
import contextlib
import ctypes
import gc
import json
import os
import signal
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from pipecat.frames.frames import (
    Frame,
    LLMContextFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import Int16Array
from agent.eval.scripted import LoudnessPosterior
from agent.logs import set_up_logging
from agent.runtimes import policy_settings
from agent.server.serve import listen, serve_sessions
from agent.server.sessions import Sessions
from agent.session import Models
from agent.settings import Settings, load
from agent.tts.speech import Speech, SpokenWord
from agent.turns.policy import FusedPolicy

RATE = 24_000


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
    """Speaks a tone."""

    name = "instant"
    sample_rate = RATE

    def __init__(self, answer_s: float = 0.2) -> None:
        self._tone = (8000 * np.sin(np.arange(round(answer_s * RATE)) / 10)).astype(np.int16)

    def speak(self, clause: str) -> Iterator[Speech]:
        """One clause."""
        yield Speech(self._tone, RATE, (SpokenWord(clause, 0.0, len(self._tone) / RATE),))


def instant_models(settings: Settings, answer_s: float = 0.2) -> Models:
    """All of them, with the real turn policy."""
    return Models(
        silero=LoudnessPosterior(),  # type: ignore[arg-type]
        smart_turn=InstantProsody(),  # type: ignore[arg-type]
        recogniser=InstantRecogniser,
        policy=lambda: FusedPolicy(policy_settings(settings.turns)),
        voice=InstantVoice(answer_s),
        language=lambda _prompt: InstantLanguage(),
        names={},
    )


class _Mallinfo(ctypes.Structure):
    """`struct mallinfo2` of glibc, in bytes."""

    _fields_ = [  # noqa: RUF012 - as ctypes wants it
        (name, ctypes.c_size_t)
        for name in ("arena", "n1", "n2", "n3", "mapped", "n4", "n5", "used", "free", "top")
    ]


def memory() -> dict[str, int]:
    """What is held now, garbage collected; KB but for the counts."""
    library = ctypes.CDLL(None)
    library.mallinfo2.restype = _Mallinfo
    gc.collect()
    held, resident_kb = library.mallinfo2(), _resident_kb()
    library.malloc_trim(0)
    return {
        "python_blocks": sys.getallocatedblocks(),
        "python_objects": len(gc.get_objects()),
        "malloc_used_kb": (held.used + held.mapped) >> 10,
        "malloc_free_kb": held.free >> 10,
        "rss_kb": resident_kb,
        "rss_trimmed_kb": _resident_kb(),
    }


def _resident_kb() -> int:
    pages = int(Path("/proc/self/statm").read_text("ascii").split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") >> 10


async def serve(port: int, answer_s: float, memory_to: Path | None) -> None:
    """Serve until told to stop."""
    if memory_to:

        def tell() -> None:
            with memory_to.open("a") as lines:
                lines.write(json.dumps(memory()) + "\n")

        asyncio.get_running_loop().add_signal_handler(signal.SIGUSR1, tell)
    settings = load()
    set_up_logging(verbose=False, form=settings.logs.format)
    server = settings.server.model_copy(update={"port": port})
    # `InstantLanguage` has no gate that would hold a draft.
    turns = settings.turns.model_copy(update={"speculate": False})
    settings = settings.model_copy(update={"server": server, "turns": turns})
    sessions = Sessions(settings, instant_models(settings, answer_s), is_offline=True)
    await serve_sessions(sessions, listen(settings.server))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, default=0)
    parser.add_argument("--answer-s", type=float, default=0.2, help="length of each answer")
    parser.add_argument("--memory-to", type=Path, help="file for a line at each SIGUSR1")
    options = parser.parse_args()
    with contextlib.suppress(KeyboardInterrupt):
        asyncio.run(serve(options.port, options.answer_s, options.memory_to))
