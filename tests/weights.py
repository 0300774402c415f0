"""Weights of the end-of-turn sum for tests that say when a turn ends.

Known numbers; what the fitted ones do is said by benchmarks/turns.py.
"""

from agent.turns.fitted import Weights

KNOWN = Weights(
    bias=-2.0,
    words={"stop": 2.0, "question": 2.0, "comma": -2.0, "unmarked": 0.0, "trailing": -4.0},
    voice=1.0,
    unscored=0.0,
    pause=1.0,
    digits_missing=-4.0,
    digits_complete=3.0,
    continuous_scale=1.8,
    speculate_odds=1.0,
)
