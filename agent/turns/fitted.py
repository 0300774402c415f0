"""Weights of the end-of-turn sum; made by benchmarks/fit_turns.py. Pure."""

from agent.turns.weights import Model, Weights

FITTED = Model(
    short=Weights(bias=-0.337, words=0.621, length=1.379, voice=0.820, pause=0.849),
    continuous=Weights(bias=-1.793, words=0.000, length=0.000, voice=0.000, pause=1.050),
    unscored=-1.0,
    digits_missing=-1.210,
    digits_complete=3.976,
)
