"""Weights of the end-of-turn sum; made by benchmarks/fit_turns.py. Pure."""

from agent.turns.weights import Model, Weights

FITTED = Model(
    short=Weights(
        bias=0.664,
        words=0.486,
        length=1.135,
        voice=0.693,
        language=0.000,
        pause=0.874,
    ),
    read=Weights(
        bias=1.517,
        words=0.323,
        length=0.892,
        voice=0.677,
        language=0.730,
        pause=0.851,
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
