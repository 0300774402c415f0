"""What each kind of evidence of an end of turn weighs. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """For one way of speaking, in natural log-odds.

    Attributes:
        bias: Before any evidence, where a turn holds one pause.
        words: Of one unit of `agent.turns.boundary.boundary`.
        length: Of one unit of `agent.turns.length.length`.
        voice: Of one unit of the logit of Smart Turn's lowest score in this silence.
        language: Of one unit of the logit of the language model's probability.
        pause: Of one unit of `agent.turns.survival.surprise`.
    """

    bias: float
    words: float
    length: float
    voice: float
    language: float
    pause: float


@dataclass(frozen=True, slots=True)
class Model:
    """All weights.

    Attributes:
        short: For answers and commands.
        read: The same, once the language model has read the words.
        continuous: For dictation and open speech.
        unscored: Logit that stands in for a score of the voice that is not known yet.
        digits_missing: While fewer digits were heard than asked for.
        digits_complete: When all were.
    """

    short: Weights
    read: Weights
    continuous: Weights
    unscored: float
    digits_missing: float
    digits_complete: float
