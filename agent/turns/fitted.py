"""Weights of the end-of-turn sum; made by benchmarks/fit_turns.py. Pure."""

from agent.turns.weights import Model, Weights

FITTED = Model(
    short=Weights(bias=0.721, words=1.619, voice=0.523, pause=0.844),
    continuous=Weights(bias=-1.643, words=0.000, voice=0.000, pause=0.958),
    unscored=-1.0,
    digits_missing=-1.139,
    digits_complete=3.375,
)
