"""What the two sides say to the core, and what it orders. Pure."""

from dataclasses import dataclass
from enum import StrEnum

from agent.asr.hypothesis import Hypothesis, Word


class Mode(StrEnum):
    """Whose text is used."""

    EDGE = "edge"
    """No byte leaves the machine."""

    CLOUD = "cloud"
    """No recogniser runs here. What the cloud does not answer is not heard."""

    PREFER_CLOUD = "prefer-cloud"
    """The cloud's text where it comes in time, else the edge's, which runs beside it."""

    RACE = "race"
    """Whichever final is there first."""


class Side(StrEnum):
    """Who recognised."""

    EDGE = "edge"
    CLOUD = "cloud"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the cloud understood of an utterance.

    Attributes:
        text: As the server wrote it.
        words: With times in samples (16 kHz) from the utterance's first; may be empty.
        confidence: Probability in [0, 1] that the text is right; None where the server gives none.
    """

    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None


@dataclass(frozen=True, slots=True)
class Begin:
    """Order: let the cloud hear an utterance from its first sample.

    Attributes:
        attempt: Names this hearing in what follows; never used twice.
        utterance_id: Whose audio.
    """

    attempt: int
    utterance_id: int


@dataclass(frozen=True, slots=True)
class Ask:
    """Order: that was all the audio; the attempt's text is wanted."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Cancel:
    """Order: nothing is wanted of the attempt any more."""

    attempt: int


@dataclass(frozen=True, slots=True)
class Tentative:
    """Text to show that can still change.

    Attributes:
        hypothesis: The text.
        side: Who recognised it.
        is_complete: Whether it covers all speech so far, so that a final may say the same.
    """

    hypothesis: Hypothesis
    side: Side
    is_complete: bool


@dataclass(frozen=True, slots=True)
class Final:
    """The only final of its utterance.

    Attributes:
        hypothesis: The text.
        side: Who recognised it.
        reason: Why this side, in words.
    """

    hypothesis: Hypothesis
    side: Side
    reason: str


@dataclass(frozen=True, slots=True)
class Correction:
    """A better text for an utterance whose final was given already; never a second turn.

    Attributes:
        hypothesis: The better text, `is_final`.
        replaced: The text of the final that was given.
    """

    hypothesis: Hypothesis
    replaced: str


Order = Begin | Ask | Cancel
Outcome = Tentative | Final | Correction
