"""Which of a client's audio is speech, and where it begins and ends. Pure."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np

from agent.audio.chunk import Int16Array, samples
from agent.parakeet.realtime.settings import ServerVad
from agent.vad.endpointer import EndpointerSettings, SpeechStarted, SpeechStopped
from agent.vad.silero import HOP

_PRE_ROLL_S = 0.5
"""Kept before speech is found, in a buffer the client commits by itself."""


@dataclass(frozen=True, slots=True)
class Started:
    """Speech began.

    Attributes:
        at_sample: Counted from the ear's first sample, padding included.
    """

    at_sample: int


@dataclass(frozen=True, slots=True)
class Speech:
    """Audio worth transcribing, shape (n,), int16, 16 kHz."""

    pcm: Int16Array


@dataclass(frozen=True, slots=True)
class Stopped:
    """Speech ended.

    Attributes:
        at_sample: Counted from the ear's first sample.
    """

    at_sample: int


class Ear:
    """Passes speech on, with what led up to it, and leaves out the silence before. Pure.

    Once somebody has spoken, everything belongs to the utterance, until `pause` ends it.
    """

    def __init__(
        self, vad: ServerVad | None, posterior: Callable[[Int16Array], float] | None
    ) -> None:
        """Begin to listen.

        Args:
            vad: How the server decides; None where the client commits.
            posterior: That a hop of 512 samples holds speech; None takes everything for speech.
        """
        self._posterior = posterior
        self._padding = samples(vad.prefix_padding_s if vad else _PRE_ROLL_S)
        # A client that commits by itself may send silence for minutes: it is left out.
        self._endpointer = (vad or ServerVad()).endpointer()
        self._carry = np.zeros(0, np.int16)
        self._ring = np.zeros(0, np.int16)
        self._position = 0
        self._has_spoken = posterior is None

    def push(self, pcm: Int16Array) -> Iterator[Started | Speech | Stopped]:
        """Listen on; shape (n,), int16, 16 kHz."""
        if self._posterior is None:
            if len(pcm):
                yield Speech(pcm)
            return
        self._carry = np.concatenate([self._carry, pcm])
        while len(self._carry) >= HOP:
            hop, self._carry = self._carry[:HOP], self._carry[HOP:]
            self._position += HOP
            found = self._endpointer.push(self._posterior(hop), self._position)
            yield from self._hop(hop, found)

    def rest(self) -> Int16Array:
        """What `push` has not passed on yet.

        If nobody spoke as far as we can tell, that is what was heard last: the recogniser has the
        last word.
        """
        return self._carry if self._has_spoken else np.concatenate([self._ring, self._carry])

    def pause(self) -> None:
        """End the utterance: silence is left out again."""
        self._has_spoken = self._posterior is None

    def _hop(
        self, hop: Int16Array, found: SpeechStarted | SpeechStopped | None
    ) -> Iterator[Started | Speech | Stopped]:
        if self._has_spoken:
            yield Speech(hop)
        else:
            # What the endpointer needs to be sure lies before the moment it is.
            kept = self._padding + samples(EndpointerSettings().min_speech_s)
            self._ring = np.concatenate([self._ring, hop])[-max(kept, HOP) :]
        if isinstance(found, SpeechStarted) and not self._has_spoken:
            self._has_spoken = True
            yield Started(max(0, found.start_sample - self._padding))
            ring, self._ring = self._ring, np.zeros(0, np.int16)
            yield Speech(ring)
        if isinstance(found, SpeechStopped):
            yield Stopped(found.at_sample)
