"""What a recogniser says, and the interface all recognisers share. Pure."""

from dataclasses import dataclass
from typing import Protocol

from agent.audio.chunk import Int16Array


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word.

    Attributes:
        text: As written, with the punctuation that clings to it.
        start_sample: First sample on the media clock (16 kHz).
        end_sample: Just after its last sample.
        confidence: Probability in [0, 1].
    """

    text: str
    start_sample: int
    end_sample: int
    confidence: float


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """The recogniser's text for one utterance so far.

    Attributes:
        utterance_id: The utterance this belongs to; one final exists for each.
        text: All words joined; empty when nothing was recognised.
        words: The words with times and confidence.
        is_final: Whether the text can still change.
        start_sample: First sample of the utterance on the media clock (16 kHz).
        end_sample: Just after the last sample this text has taken into account.
        unfinished: The word that was still being spoken there, which is not in the text: it may
            become another.
    """

    utterance_id: int
    text: str
    words: tuple[Word, ...]
    is_final: bool
    start_sample: int
    end_sample: int
    unfinished: Word | None = None


class Recogniser(Protocol):
    """Streaming recognition of one utterance at a time.

    Calls block while a model runs, so a shell makes them on one worker thread per stream.
    """

    def start(self, utterance_id: int, start_sample: int) -> None:
        """Begin an utterance whose first sample stands at `start_sample`."""
        ...

    def push(self, pcm: Int16Array, is_speech: bool = True) -> Hypothesis | None:
        """Append audio.

        Args:
            pcm: 16 kHz mono int16, shape (n,), following on what was pushed before.
            is_speech: False for the pre-roll and for what comes after speech has stopped. It is
                kept like the rest, but makes no hypothesis due and leaves a settled one valid.

        Returns:
            A tentative hypothesis when one is due: often without the word still being spoken, and
            without a full stop that would say only that the audio stops there.
        """
        ...

    def settle(self) -> Hypothesis:
        """Recognise all audio so far, now; still tentative. Free if only silence came since.

        For the moment speech stops: the text is complete, with its last word and punctuation.
        """
        ...

    def finish(self) -> Hypothesis:
        """Close the utterance with its only final hypothesis, for all its audio.

        Free if nothing but silence came since `settle`.
        """
        ...
