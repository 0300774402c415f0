"""What synthetic voices say in benchmarks, with the times of its words."""

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace

import numpy as np
import platformdirs

from agent.audio.chunk import SAMPLE_RATE, Int16Array, seconds
from agent.audio.resample import resample
from agent.tts.kokoro import KokoroVoice
from agent.tts.speech import Speech, SpokenWord, Voice
from agent.tts.student import StudentVoice

_AUDIBLE = 300
"""Peak, in steps of 16 bits, from which on a voice is heard."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """Something said in a synthetic voice.

    Attributes:
        pcm: Mono, shape (n,), int16, 16 kHz.
        words: Its words, their times from the first sample of all.
    """

    pcm: Int16Array
    words: tuple[SpokenWord, ...]


def joined(stretches: Iterable[Speech]) -> Spoken:
    """Lay what a voice gives end to end, at 16 kHz."""
    pcm: list[Int16Array] = []
    words: list[SpokenWord] = []
    at_s = 0.0
    for speech in stretches:
        pcm.append(resample(speech.pcm, speech.sample_rate, SAMPLE_RATE))
        words += _later(speech.words, at_s)
        at_s += seconds(len(pcm[-1]))
    return Spoken(np.concatenate(pcm), tuple(words))


def spoken(voice: str, text: str) -> Spoken:
    """What a voice says, from its first sound to its last.

    From a cache: synthesis is the slowest part of making clips.

    Args:
        voice: Of Kokoro's, or `student`.
        text: One clause or several.
    """
    folder = platformdirs.user_cache_path("duplex-benchmarks") / "spoken"
    folder.mkdir(parents=True, exist_ok=True)
    key = hashlib.sha256(f"{voice}/{text}".encode()).hexdigest()[:24]
    sound, times = folder / f"{key}.npy", folder / f"{key}.json"
    if not times.is_file():
        if voice not in _voices:
            _voices[voice] = StudentVoice() if voice == "student" else KokoroVoice(voice=voice)
        made = joined(_voices[voice].speak(text))
        np.save(sound, made.pcm)
        times.write_text(json.dumps([asdict(word) for word in made.words]))
    pcm: Int16Array = np.load(sound)
    words = [SpokenWord(**word) for word in json.loads(times.read_text())]
    loud = np.flatnonzero(np.abs(pcm) > _AUDIBLE)
    if not len(loud):
        return Spoken(pcm, tuple(words))
    return Spoken(pcm[loud[0] : loud[-1] + 1], tuple(_later(words, -seconds(int(loud[0])))))


_voices: dict[str, Voice] = {}


def _later(words: Iterable[SpokenWord], by_s: float) -> list[SpokenWord]:
    return [replace(word, start_s=word.start_s + by_s, end_s=word.end_s + by_s) for word in words]
