"""Where speech is in an utterance, before any recogniser sees it.

Parakeet TDT returns nothing for a short utterance followed by some 400 ms of silence (NeMo's issue
15757), and that is what every voice activity detector hands over; so the silent tail goes first.
Silence alone is answered without decoding.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
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

_LOUD = 10.0
"""A frame within 20 dB of the loudest: if there is speech, it is likely to be there."""

_WARM_UP = 10 * HOP
"""The network is recurrent: audio before the stretch in question."""

Levels = npt.NDArray[np.float64]


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

    Calls block for a quarter of a millisecond per hop they look at; any thread may make them.
    """

    def __init__(self, weights: Path) -> None:
        self._model = SileroModel(weights)

    def examine(self, pcm: Int16Array) -> Examined:
        """Look for speech from the start, until there is some, and for the silent tail.

        Args:
            pcm: Shape (n,), int16, 16 kHz.
        """
        level = levels(pcm)
        if not len(level) or level.max() < _SILENT_PEAK:
            return Examined(False, len(pcm))
        if not self._has_speech(pcm, level):
            return Examined(False, len(pcm))
        return Examined(True, self._speech_end(pcm, level))

    def posterior(self, pcm: Int16Array) -> list[float]:
        """The posterior of every hop; a last one that is not full is padded with zeros."""
        padded = np.pad(pcm, (0, -len(pcm) % HOP))
        heard: list[float] = SileroPosterior(self._model).push_all(padded).tolist()
        return heard

    def stream(self) -> Callable[[Int16Array], float]:
        """A posterior for audio as it arrives, one hop of 512 samples at a time."""
        return SileroPosterior(self._model).push

    def _has_speech(self, pcm: Int16Array, level: Levels) -> bool:
        # What lies before the first sound need not be looked at, and what lies before the loud part
        # only if there is no speech in that: a stream begins as after silence.
        first = int(np.argmax(level >= _SILENT_PEAK)) * FRAME
        loud = int(np.argmax(level >= level.max() / _LOUD)) * FRAME
        found = 0
        for probability in chain(self._hops(pcm[loud:]), self._hops(pcm[first:loud])):
            found += probability >= _TELLTALE
            if found == _LEAST_HOPS:
                return True
        # Too short for the network to tell: the recogniser may try.
        return len(pcm) < _LEAST_HOPS * 2 * HOP

    def _speech_end(self, pcm: Int16Array, level: Levels) -> int:
        loud = loud_end(level)
        if len(pcm) - loud <= samples(KEPT_TAIL_S):
            return len(pcm)
        if (level[loud // FRAME :] < _SILENT_PEAK).all():
            return min(len(pcm), loud + samples(KEPT_TAIL_S))
        start = max(0, loud - _WARM_UP)
        voiced = 0
        for number, probability in enumerate(self._hops(pcm[start:]), 1):
            if probability >= _ENDING:
                voiced = start + number * HOP
        end = max(voiced - _LATENESS, loud if loud <= voiced + _REACH or not voiced else 0)
        return min(len(pcm), end + samples(KEPT_TAIL_S))

    def _hops(self, pcm: Int16Array) -> Iterator[float]:
        push = self.stream()
        for start in range(0, len(pcm), HOP):
            hop = pcm[start : start + HOP]
            if len(hop) < HOP:
                hop = np.pad(hop, (0, HOP - len(hop)))
            yield push(hop)


def levels(pcm: Int16Array) -> Levels:
    """RMS of each 10 ms frame, shape (n // 160,), in int16 units."""
    whole = len(pcm) - len(pcm) % FRAME
    frames = pcm[:whole].reshape(-1, FRAME).astype(np.float64)
    level: Levels = np.sqrt((frames**2).mean(axis=1))
    return level


def loudness(pcm: Int16Array) -> list[float]:
    """In place of a posterior: for each hop a number in [0.5, 1] that grows with its level."""
    padded = np.pad(pcm, (0, -len(pcm) % HOP)).reshape(-1, HOP).astype(np.float64)
    level = np.sqrt((padded**2).mean(axis=1))
    return [float(value) for value in 1.0 - 1.0 / (2.0 + level)]


def loud_end(level: Levels) -> int:
    """Sample just after the last frame that stands out: 10 dB over the floor, 40 below the peak."""
    threshold = max(float(np.percentile(level, 10)) * 3.16, float(level.max()) / 100.0, 1.0)
    # Speech without a pause has no floor; its quiet tenth must not hide its end.
    threshold = min(threshold, float(level.max()) / 10.0)
    above = np.nonzero(level > threshold)[0]
    return (int(above[-1]) + 1) * FRAME if len(above) else 0
