"""Where speech is in an utterance, before any recogniser sees it.

Parakeet TDT returns nothing for a short utterance followed by some 400 ms of silence (NeMo's issue
15757), and that is what every voice activity detector hands over; so the silent tail goes first.
Silence alone is answered without decoding.
"""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, samples
from agent.vad.silero import HOP, SileroModel, SileroPosterior

KEPT_TAIL_S = 0.1
"""Kept behind the estimated end of speech, which is at most 20 ms late: 120 ms in all."""

FRAME = SAMPLE_RATE // 100
"""Samples of one energy frame."""

_TELLTALE = 0.35
"""A hop at or above this is taken for speech when the question is whether there is any."""

_LEAST_HOPS = 2
"""Hops of speech that make an utterance worth decoding. "Yes" has thirteen."""

_ENDING = 0.3
"""The posterior falls below this within 46 ms before and 100 ms after the end of a word (twenty
phrases in the packaged voice, three levels of noise)."""

_LATENESS = 3 * HOP
"""Taken off the posterior's end for that."""

_REACH = 5 * HOP
"""Sound that goes on behind the posterior's end belongs to the word only this far: a fricative
does, a door does not."""

_SILENT_PEAK = 33
"""RMS of a frame below which nothing is said, -60 dBFS: the network need not be asked."""

_BEFORE = 2 * HOP
"""How far before the end of what is loud speech is looked for at a glance."""

_GLANCE = 36 * HOP
"""More than this, 0.7 ms of computing, would keep the event loop from others."""

_RUN_IN = 6
"""Hops the network hears before those it is asked about, for it is recurrent. With fewer it now and
then misses the last word in noise; more bring the end no nearer to that of a reading from the start
(docs/parakeet.md)."""


@dataclass(frozen=True, slots=True)
class Examined:
    """What of an utterance is worth decoding.

    Attributes:
        has_speech: False: the answer is empty.
        end_sample: Where to cut; the utterance's length where no silent tail was found.
    """

    has_speech: bool
    end_sample: int


class SpeechFinder:
    """Silero's posterior and the signal's level, read for whole utterances.

    Calls block for 0.02 ms per hop they look at, some ten in an ordinary utterance; any thread may
    make them.
    """

    def __init__(self, weights: Path) -> None:
        self._model = SileroModel(weights)

    def glance(self, pcm: Int16Array) -> Examined | None:
        """`examine`, where the end is plain and that takes less than a millisecond; else None."""
        sound = _Sound.of(pcm)
        if sound is None:
            return Examined(False, len(pcm))
        if sound.last - sound.near > _GLANCE:
            return None
        return self._end(sound)

    def examine(self, pcm: Int16Array) -> Examined:
        """Find the last speech near the end, or by a reading from the start.

        Args:
            pcm: Shape (n,), int16, 16 kHz.
        """
        sound = _Sound.of(pcm)
        if sound is None:
            return Examined(False, len(pcm))
        return self._end(sound) or self._whole(sound)

    def posterior(self, pcm: Int16Array) -> list[float]:
        """The posterior of every hop; a last one that is not full is padded with zeros."""
        heard: list[float] = SileroPosterior(self._model).push_all(_filled(pcm)).tolist()
        return heard

    def stream(self) -> Callable[[Int16Array], float]:
        """A posterior for audio as it arrives, one hop of 512 samples at a time."""
        return SileroPosterior(self._model).push

    def _end(self, sound: "_Sound") -> Examined | None:
        """Look for speech from shortly before the end of what is loud; None if there is none."""
        # What lies before the first sound need not be heard: a stream begins as after silence.
        run_in = min(_RUN_IN, (sound.near - sound.first) // HOP)
        begin = sound.near - run_in * HOP
        heard = self._heard(sound, begin)[run_in:]
        if np.count_nonzero(heard >= _TELLTALE) < _LEAST_HOPS:
            return None
        return sound.cut(sound.near, heard)

    def _whole(self, sound: "_Sound") -> Examined:
        heard = self._heard(sound, 0)
        is_told = np.count_nonzero(heard >= _TELLTALE) >= _LEAST_HOPS
        # Too short for the network to tell: the recogniser may try.
        if is_told or len(sound.pcm) < _LEAST_HOPS * 2 * HOP:
            return sound.cut(0, heard)
        return Examined(False, len(sound.pcm))

    def _heard(self, sound: "_Sound", begin: int) -> Float32Array:
        """The posterior of the hops from `begin` to the last sound."""
        end = sound.last + (begin - sound.last) % HOP
        return SileroPosterior(self._model).push_all(_filled(sound.pcm[begin:end]))


@dataclass(frozen=True, slots=True)
class _Sound:
    """What the level says of an utterance; positions are samples.

    Attributes:
        pcm: All of it.
        first: Nothing is said before.
        near: Where to look for speech at its end.
        loud: End of what stands out.
        last: Nothing is said behind.
    """

    pcm: Int16Array
    first: int
    near: int
    loud: int
    last: int

    @classmethod
    def of(cls, pcm: Int16Array) -> "_Sound | None":
        """None: nothing is said."""
        level = levels(pcm)
        sounds = np.flatnonzero(level >= _SILENT_PEAK)
        if not len(sounds):
            return None
        first, last = int(sounds[0]) * FRAME, (int(sounds[-1]) + 1) * FRAME
        loud = loud_end(level)
        return cls(pcm, first, max(first, loud - _BEFORE), loud, max(last, loud))

    def cut(self, begin: int, heard: Float32Array) -> Examined:
        """Where speech ends, by the level and by the posterior of the hops from `begin` on."""
        voices = np.flatnonzero(heard >= _ENDING)
        voiced = begin + (int(voices[-1]) + 1) * HOP if len(voices) else 0
        belongs = not voiced or self.loud <= voiced + _REACH
        end = max(voiced - _LATENESS, self.loud if belongs else 0) + samples(KEPT_TAIL_S)
        return Examined(True, min(len(self.pcm), end))


def _filled(pcm: Int16Array) -> Int16Array:
    """In whole hops, the last one filled up with zeros."""
    missing = -len(pcm) % HOP
    return np.concatenate([pcm, np.zeros(missing, np.int16)]) if missing else pcm


def levels(pcm: Int16Array) -> Float32Array:
    """RMS of each 10 ms frame, shape (n // 160,), in int16 units."""
    frames = pcm[: len(pcm) - len(pcm) % FRAME].reshape(-1, FRAME).astype(np.float32)
    level: Float32Array = np.sqrt(np.einsum("ij,ij->i", frames, frames) / np.float32(FRAME))
    return level


def loudness(pcm: Int16Array) -> list[float]:
    """In place of a posterior: for each hop a number in [0.5, 1] that grows with its level."""
    padded = np.pad(pcm, (0, -len(pcm) % HOP)).reshape(-1, HOP).astype(np.float64)
    level = np.sqrt((padded**2).mean(axis=1))
    return [float(value) for value in 1.0 - 1.0 / (2.0 + level)]


def loud_end(level: Float32Array) -> int:
    """Sample just after the last frame that stands out: 10 dB over the floor, 40 below the peak."""
    floor = float(np.partition(level, len(level) // 10)[len(level) // 10])
    peak = float(level.max())
    # Speech without a pause has no floor; its quiet tenth must not hide its end.
    threshold = min(max(floor * 3.16, peak / 100.0, 1.0), peak / 10.0)
    above = np.nonzero(level > threshold)[0]
    return (int(above[-1]) + 1) * FRAME if len(above) else 0
