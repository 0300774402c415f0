"""Smart Turn: does the turn sound finished?

Model: Smart Turn v3.2 (github.com/pipecat-ai/smart-turn, BSD-2-Clause), int8 ONNX from the
pipecat-ai wheel. It hears the last 8 s at 16 kHz, padded with silence in front.
"""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, to_float
from agent.turns.mel import log_mel

WINDOW_S = 8
"""Seconds the model hears."""


class SmartTurn:
    """Scores stretches of audio. Thread-safe: a call keeps no state. Takes about 75 ms."""

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        # Two threads measured slower than one (research on 2 cores), and recognition needs the
        # other core at this very moment.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        self._input = self._session.get_inputs()[0].name

    def score(self, pcm: Int16Array) -> float:
        """Probability that a turn ending with `pcm` is finished.

        Args:
            pcm: Shape (n,), int16, 16 kHz; only the last 8 s are heard.
        """
        features = log_mel(_window(to_float(pcm)))
        output = self._session.run(None, {self._input: features[None]})
        return float(np.ravel(output[0])[0])


def _window(signal: Float32Array) -> Float32Array:
    size = WINDOW_S * SAMPLE_RATE
    window = np.zeros(size, np.float32)
    kept = signal[-size:]
    if len(kept):
        window[-len(kept) :] = kept
    return window
