"""The caller's voice: lines of a script as audio, and which words sound when."""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.audio.resample import resample
from agent.eval.scenario import CallerPart, Line
from agent.parts import named_voice
from agent.replay import read
from agent.tts.speech import Voice

AUDIBLE = 300
"""Absolute sample value that counts as sound: 40 dB below full scale."""

_DIGITS = "zero one two three four five six seven eight nine".split()


@dataclass(frozen=True, slots=True)
class Spoken:
    """A line as it sounds.

    Attributes:
        pcm: 16 kHz mono int16, from its first audible sample to its last.
        text: What is said, for the word error rate; empty for what is no speech.
    """

    pcm: Int16Array
    text: str


def speaker(caller: CallerPart) -> Callable[[Line], Spoken]:
    """Return what speaks a script's lines at the caller's level."""

    def speak(line: Line) -> Spoken:
        spoken = _spoken(line, caller.voice)
        if not len(spoken.pcm):
            return spoken
        wanted = caller.level_dbfs + line.level_db
        return Spoken(_at_level(spoken.pcm, wanted), spoken.text)

    return speak


def _spoken(line: Line, voice: str) -> Spoken:
    match line.manner:
        case "say" | "backchannel":
            return _said(line.say or line.backchannel or "", voice)
        case "dictate":
            groups = (line.dictate or "").split()
            words = [" ".join(_name(sign) for sign in group) for group in groups]
            pause = np.zeros(samples(line.group_pause_s), np.int16)
            pieces: list[Int16Array] = []
            for number, group in enumerate(words):
                ending = "." if number == len(words) - 1 else ","
                pieces += [pause] * bool(number) + [_utter(voice, group + ending)]
            return Spoken(np.concatenate(pieces), " ".join(words))
        case "wav":
            assert line.wav
            return Spoken(_trimmed(read(line.wav)), line.text)
        case "sound":
            return Spoken(_SOUNDS[line.sound or ""](), "")
        case _:
            return Spoken(np.zeros(0, np.int16), "")


def _said(text: str, voice: str) -> Spoken:
    """Speak a text whose bracketed numbers are pauses in seconds."""
    pieces: list[Int16Array] = []
    words: list[str] = []
    parts = re.split(r"\[\s*(\d+(?:\.\d+)?)\s*\]", text)
    for number, part in enumerate(parts):
        if number % 2:
            pieces.append(np.zeros(samples(float(part)), np.int16))
        elif said := part.strip():
            # Who goes on after a pause does not let the voice fall before it.
            goes_on = number < len(parts) - 1 and said[-1].isalnum()
            pieces.append(_utter(voice, f"{said}," if goes_on else said))
            words.append(said)
    return Spoken(np.concatenate(pieces or [np.zeros(0, np.int16)]), " ".join(words))


@lru_cache(maxsize=512)
def _utter(voice: str, text: str) -> Int16Array:
    speaking = _voice(voice)
    stretches = [speech.pcm for speech in speaking.speak(text)]
    pcm = np.concatenate(stretches or [np.zeros(0, np.int16)])
    return _trimmed(resample(pcm, speaking.sample_rate, SAMPLE_RATE))


@lru_cache(maxsize=4)
def _voice(name: str) -> Voice:
    return named_voice(name)


def _name(sign: str) -> str:
    return _DIGITS[int(sign)] if sign.isdigit() and sign.isascii() else sign


def _trimmed(pcm: Int16Array) -> Int16Array:
    """Cut to what can be heard: its ends are when the caller begins and has finished."""
    audible = np.flatnonzero(np.abs(pcm.astype(np.int32)) > AUDIBLE)
    return pcm[audible[0] : audible[-1] + 1] if len(audible) else pcm[:0]


def _at_level(pcm: Int16Array, level_dbfs: float) -> Int16Array:
    signal = pcm.astype(np.float64)
    loud = signal[np.abs(signal) > AUDIBLE]
    rms = float(np.sqrt(np.mean(loud**2))) if len(loud) else 1.0
    scaled = signal * 32768 * 10 ** (level_dbfs / 20) / rms
    levelled: Int16Array = np.clip(np.rint(scaled), -32768, 32767).astype(np.int16)
    return levelled


def _cough() -> Int16Array:
    """Two bursts of noise, low and rough, a fifth of a second each."""
    chance = np.random.default_rng(5)
    count = samples(0.22)
    burst = np.convolve(chance.normal(0, 1, count), np.ones(12) / 12, "same")
    burst *= np.exp(-np.arange(count) / samples(0.07))
    gap = np.zeros(samples(0.1))
    return _peak(np.concatenate([burst, gap, 0.7 * burst]))


def _knock() -> Int16Array:
    count = samples(0.08)
    knock = np.sin(2 * np.pi * 180 / SAMPLE_RATE * np.arange(count))
    knock *= np.exp(-np.arange(count) / samples(0.015))
    return _peak(np.concatenate([knock, np.zeros(samples(0.15)), knock]))


def _peak(signal: np.ndarray[tuple[int], np.dtype[np.float64]]) -> Int16Array:
    pcm: Int16Array = np.rint(16000 * signal / np.abs(signal).max()).astype(np.int16)
    return pcm


_SOUNDS: dict[str, Callable[[], Int16Array]] = {"cough": _cough, "knock": _knock}
