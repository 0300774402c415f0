"""Weights of the end-of-turn sum; made by benchmarks/fit_turns.py. Pure."""

from agent.turns.weights import Model, Weights

FITTED = Model(
    short=Weights(bias=-0.480, words=0.657, length=1.364, voice=0.863, pause=0.846),
    continuous=Weights(bias=-1.793, words=0.000, length=0.000, voice=0.000, pause=1.050),
    unscored=-1.0,
    digits_missing=-1.210,
    digits_complete=3.976,
)
