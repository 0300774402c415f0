"""Greedy decoding, token by token, and when it stops. Pure."""

from enum import Enum, auto

import numpy as np

from agent.asr.repetition import loop_start
from agent.audio.chunk import Float32Array

BEGIN = 1
"""Moonshine's token in front of every text."""

END = 2
"""Moonshine's token behind every text."""


class Stop(Enum):
    """Why decoding ended."""

    END = auto()
    """The model said so."""
    CAP = auto()
    """The text was longer than the audio can hold."""
    LOOP = auto()
    """The model repeated itself; the repetition is cut off."""
    NO_SPEECH = auto()
    """Too short or silent: the model was not asked."""


class GreedyDecoding:
    """The tokens of one pass, and when to stop."""

    def __init__(self, most_tokens: int, must_speak: bool = False) -> None:
        self.most_tokens = most_tokens
        self._must_speak = must_speak
        self.tokens: list[int] = []
        self.probabilities: list[float] = []
        self.attention: list[Float32Array] = []
        self.stop: Stop | None = None

    def likeliest(self, logits: Float32Array) -> int:
        """Choose the next token, which is no end mark where there must be speech."""
        if self._must_speak and not self.tokens:
            logits = logits.copy()
            logits[END] = -np.inf
        return int(logits.argmax())

    def append(
        self, logits: Float32Array, attention: Float32Array, token: int | None = None
    ) -> None:
        """Take `token`, or else the likeliest, or learn from the logits that the text ends."""
        if self.stop is not None:
            return
        if token is None:
            token = self.likeliest(logits)
        self.attention.append(attention)
        if token == END:
            self.stop = Stop.END
            return
        self.tokens.append(token)
        self.probabilities.append(_probability(logits, token))
        loop = loop_start(self.tokens)
        if loop is not None:
            self.stop = Stop.LOOP
            del self.tokens[loop:], self.probabilities[loop:], self.attention[loop:]
        elif len(self.tokens) >= self.most_tokens:
            self.stop = Stop.CAP


def _probability(logits: Float32Array, token: int) -> float:
    powers = np.exp(logits - logits.max())
    return float(powers[token] / powers.sum())
