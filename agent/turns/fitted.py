"""Weights of the end-of-turn sum. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Weights:
    """What each kind of evidence weighs, in natural log-odds.

    Attributes:
        bias: Before any evidence.
        words: Of each feature of the text (`agent.turns.completeness.reading`), by name.
        voice: Of one unit of the logit of Smart Turn's score.
        unscored: In the voice's place while no score is known.
        pause: Of one unit of `agent.turns.survival.surprise`.
        digits_missing: While fewer digits were heard than asked for.
        digits_complete: When all were.
        continuous_scale: By how much pauses are longer in dictation and open speech.
        speculate_odds: Odds from which an answer is prepared: one withdrawn answer costs as much
            as being this many times late by what speculation saves.
    """

    bias: float
    words: Mapping[str, float]
    voice: float
    unscored: float
    pause: float
    digits_missing: float
    digits_complete: float
    continuous_scale: float
    speculate_odds: float


FITTED = Weights(
    bias=-1.5,
    words={"stop": 1.2, "question": 2.0, "comma": -2.0, "unmarked": 0.3, "trailing": -4.0},
    voice=0.5,
    unscored=-0.5,
    pause=1.0,
    digits_missing=-4.0,
    digits_complete=3.0,
    continuous_scale=1.8,
    speculate_odds=1.0,
)
