"""Spoken input for tests: sentences in the student's voice, and what a recording says."""

from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from agent.audio.chunk import Int16Array, to_int16
from agent.audio.resample import resample

RATE = 16_000


@cache
def _hibari():
    from hibari import Hibari

    return Hibari()


def spoken(text: str, rate: int = RATE) -> Int16Array:
    """`text` in the packaged voice, the same samples every time."""
    return resample(to_int16(_hibari()(text, seed=1)), 24_000, rate)


def dialogue(*parts: str | float, rate: int = RATE, noise: float = 4.0) -> Int16Array:
    """Sentences and pauses in seconds, over the faint noise of a quiet room."""
    pieces = [
        spoken(part, rate) if isinstance(part, str) else np.zeros(round(part * rate), np.int16)
        for part in parts
    ]
    track = np.concatenate(pieces).astype(np.float64)
    # Digital silence is nothing a microphone gives.
    track += np.random.default_rng(0).normal(0.0, noise, len(track))
    return np.clip(np.rint(track), -32768, 32767).astype(np.int16)


def write(path: Path, pcm: Int16Array, rate: int = RATE) -> Path:
    """Save as a wav file."""
    soundfile.write(path, pcm, rate, subtype="PCM_16")
    return path


def transcribe(path: Path) -> str:
    """What a recording says, by the larger recogniser, in lower case."""
    from agent.asr.streaming import StreamingMoonshine
    from agent.replay import read

    recogniser = StreamingMoonshine(_moonshine())
    recogniser.start(1, 0)
    recogniser.push(read(path))
    return recogniser.finish().text.lower()


@cache
def _moonshine():
    from agent.asr.moonshine import Moonshine
    from agent.models.store import locate

    return Moonshine(locate("moonshine-base-en"))
