"""What a voice gives, and the interface all voices share. Pure."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Protocol

from agent.audio.chunk import Int16Array


@dataclass(frozen=True, slots=True)
class SpokenWord:
    """A word of the answer and when it sounds.

    Attributes:
        text: As written in the answer, punctuation included, no spaces around it: joined by
            single spaces the words of a clause give back the clause.
        start_s: Seconds from the first sample of the `Speech` that carries it.
        end_s: Likewise, just after its last sound.
    """

    text: str
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Speech:
    """A stretch of synthesised speech.

    Attributes:
        pcm: Mono samples, shape (n,), int16.
        sample_rate: In Hz.
        words: The words that begin in this stretch, in order.
    """

    pcm: Int16Array
    sample_rate: int
    words: tuple[SpokenWord, ...]


class Voice(Protocol):
    """Speaks clauses. Calls block, so a shell makes them on a worker thread."""

    @property
    def name(self) -> str:
        """Model and voice, for records and metrics."""
        ...

    @property
    def sample_rate(self) -> int:
        """Of every `Speech` it gives, in Hz."""
        ...

    def speak(self, clause: str) -> Iterator[Speech]:
        """Synthesise one clause, in one or more stretches as they become ready."""
        ...
