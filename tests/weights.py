"""Weights of the end-of-turn sum for tests that say when a turn ends.

Known numbers; what the fitted ones do is said by benchmarks/turns.py.
"""

from agent.turns.weights import Model, Weights

KNOWN = Model(
    short=Weights(bias=-0.4, words=0.2, length=0.0, voice=0.7, language=0.0, pause=1.0),
    read=Weights(bias=0.0, words=0.1, length=0.0, voice=0.7, language=0.7, pause=1.0),
    continuous=Weights(bias=-1.0, words=0.0, length=0.0, voice=0.5, language=0.0, pause=1.0),
    unscored=0.0,
    digits_missing=-4.0,
    digits_complete=4.0,
)
