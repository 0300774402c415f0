"""Weights of the end-of-turn sum; made by benchmarks/fit_turns.py. Pure."""

from agent.turns.weights import Model, Weights

FITTED = Model(
    short=Weights(
        bias=-0.358,
        words=0.619,
        length=1.353,
        voice=0.813,
        language=0.000,
        pause=0.856,
    ),
    read=Weights(
        bias=0.553,
        words=0.418,
        length=1.137,
        voice=0.793,
        language=0.728,
        pause=0.844,
    ),
    continuous=Weights(
        bias=-1.793,
        words=0.000,
        length=0.000,
        voice=0.000,
        language=0.000,
        pause=1.050,
    ),
    unscored=-1.0,
    digits_missing=-1.233,
    digits_complete=3.589,
)
