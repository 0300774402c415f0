"""Spoken input for tests: sentences in the student's voice, and what a recording says."""

import re
from functools import cache
from pathlib import Path

import numpy as np
import soundfile

from agent.audio.chunk import Int16Array, to_float, to_int16
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
    from agent.replay import read

    return understood(read(path)).lower()


def understood(pcm: Int16Array) -> str:
    """What a listener understands of 16 kHz audio, stretch by stretch."""
    return " ".join(_moonshine().transcribe(to_float(part)).text for part in _stretches(pcm))


def share_said(path: Path, text: str) -> float:
    """Share of the words of `text` that a recording says; 1.0 is all of them."""
    said = set(re.findall(r"[a-z']+", transcribe(path)))
    words = re.findall(r"[a-z']+", text.lower())
    return sum(word in said for word in words) / len(words)


def _stretches(pcm: Int16Array) -> list[Int16Array]:
    """Sound between half seconds of silence, a little silence around each."""
    step, gap = RATE // 50, 25
    loud = [
        i for i in range(len(pcm) // step) if np.abs(pcm[i * step : (i + 1) * step]).max() > 200
    ]
    ends = [k for k in range(1, len(loud)) if loud[k] - loud[k - 1] > gap]
    groups = [loud[i:j] for i, j in zip([0, *ends], [*ends, len(loud)], strict=True) if loud]
    margin = np.zeros(RATE // 4, np.int16)
    return [
        np.concatenate([margin, pcm[group[0] * step : (group[-1] + 1) * step], margin])
        for group in groups
    ]


@cache
def _moonshine():
    from agent.asr.moonshine import Moonshine
    from agent.models.store import locate

    return Moonshine(locate("moonshine-base-en"))
