"""Smart Turn: does the turn sound finished?

Model: Smart Turn v3.2 (github.com/pipecat-ai/smart-turn, BSD-2-Clause), int8 ONNX from the
pipecat-ai wheel. It was trained on 8 s at 16 kHz, padded with silence in front; here it hears the
last of them (`agent.models.smart_turn_graph`).
"""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from agent.audio.chunk import Float32Array, Int16Array, samples, to_float
from agent.turns.mel import log_mel

WINDOW_S = 2.5
"""Seconds the model hears. Work grows with them, and what lies further back says little of an end
(`docs/turns.md`)."""


class SmartTurn:
    """Scores stretches of audio. Thread-safe: a call keeps no state.

    Args:
        export: The packaged graph; not changed.
        window_s: Seconds to hear, up to 8.

    Raises:
        MissingModelError: The file is not the export this was written for.
    """

    def __init__(self, export: Path, window_s: float = WINDOW_S) -> None:
        # Here, for it imports what only the start needs.
        from agent.models import smart_turn_graph

        graph = smart_turn_graph.shorten(export, round(window_s * smart_turn_graph.POSITIONS_PER_S))
        options = ort.SessionOptions()
        # Two threads measured slower than one (research on 2 cores), and recognition needs the
        # other core at this very moment.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(
            graph.SerializeToString(), options, providers=["CPUExecutionProvider"]
        )
        self._input = smart_turn_graph.INPUT
        self._size = samples(window_s)

    def score(self, pcm: Int16Array) -> float:
        """Probability that a turn ending with `pcm` is finished.

        Args:
            pcm: Shape (n,), int16, 16 kHz; only the last `WINDOW_S` are heard.
        """
        features = log_mel(self._window(to_float(pcm)))
        output = self._session.run(None, {self._input: features[None]})
        return float(np.ravel(output[0])[0])

    def _window(self, signal: Float32Array) -> Float32Array:
        window = np.zeros(self._size, np.float32)
        kept = signal[-self._size :]
        if len(kept):
            window[-len(kept) :] = kept
        return window
