"""Silero's speech posterior, one probability for each 32 ms hop.

Weights: Silero VAD v5, ONNX, 16 kHz (github.com/snakers4/silero-vad, MIT), from the wheel of
pipecat-ai.
"""

from pathlib import Path

import numpy as np
import onnxruntime as ort

from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, to_float
from agent.errors import AudioFormatError

HOP = 512
"""Samples in one model step: 32 ms at 16 kHz."""

_CONTEXT = 64
"""Samples of the previous hop the network is given again, as its authors' wrapper does."""

_REST_HOPS = 8
"""Silence before a stream, a quarter of a second."""


class SileroModel:
    """The network, without state: one instance serves every stream.

    Attributes:
        rest_state: Shape (2, 1, 128), float32: that of a stream of silence. Never written to.
    """

    def __init__(self, path: Path) -> None:
        options = ort.SessionOptions()
        # A step takes 0.15 ms; a second thread costs more in hand-over than it saves.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        self._session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
        # From its zero state the network takes up to half a second to notice somebody who is
        # already speaking as a stream begins (benchmarks/onset.py). Listened to once, for a short
        # utterance costs hardly more steps than this silence.
        state: Float32Array = np.zeros((2, 1, 128), np.float32)
        for _ in range(_REST_HOPS):
            _, state = self.step(np.zeros((1, _CONTEXT + HOP), np.float32), state)
        self.rest_state = state

    def step(self, window: Float32Array, state: Float32Array) -> tuple[float, Float32Array]:
        """Run one hop.

        Args:
            window: Shape (1, 576), float32: context and hop.
            state: Shape (2, 1, 128), float32: what the last step returned.

        Returns:
            The probability of speech in [0, 1], and the next state.
        """
        probability, next_state = self._session.run(
            None, {"input": window, "state": state, "sr": np.array(SAMPLE_RATE, np.int64)}
        )
        return float(probability[0, 0]), next_state


class SileroPosterior:
    """The posterior of one stream."""

    def __init__(self, model: SileroModel) -> None:
        self._model = model
        self.reset()

    def reset(self) -> None:
        """Forget the stream: the network is recurrent and would carry over the last caller."""
        self._state = self._model.rest_state
        self._context: Float32Array = np.zeros(_CONTEXT, np.float32)

    def push(self, hop: Int16Array) -> float:
        """Probability that `hop` holds speech.

        Args:
            hop: Shape (512,), int16, 16 kHz; hops must follow each other without a gap.

        Raises:
            AudioFormatError: Not exactly one hop of mono int16.
        """
        if len(hop) != HOP:
            raise AudioFormatError(f"a hop is {HOP} samples at {SAMPLE_RATE} Hz, got {len(hop)}")
        signal = to_float(hop)
        window = np.concatenate([self._context, signal])[None, :]
        probability, self._state = self._model.step(window, self._state)
        self._context = signal[-_CONTEXT:]
        return probability
