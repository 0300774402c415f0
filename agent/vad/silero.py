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

_AT_ONCE = 64
"""Hops in one run of the network: more cost memory, and each as much."""

_NONE: Float32Array = np.empty(0, np.float32)

_REST_HOPS = 8
"""Silence before a stream, a quarter of a second."""


class SileroModel:
    """The network, without state: one instance serves every stream, and any thread.

    Attributes:
        rest_state: Shape (2, 1, 128), float32: that of a stream of silence. Never written to.

    Raises:
        MissingModelError: The file is not the export this was written for.
    """

    def __init__(self, path: Path) -> None:
        # Here, for it imports what only the start needs.
        from agent.models import silero_graph

        options = ort.SessionOptions()
        # A step takes 0.06 ms; a second thread costs more in hand-over than it saves.
        options.intra_op_num_threads = options.inter_op_num_threads = 1
        graph = silero_graph.stretch(path).SerializeToString()
        self._session = ort.InferenceSession(graph, options, providers=["CPUExecutionProvider"])
        self._inputs = silero_graph.WINDOWS, silero_graph.STATE
        self._outputs = [silero_graph.POSTERIOR, silero_graph.NEXT_STATE]
        # From its zero state the network takes up to half a second to notice somebody who is
        # already speaking as a stream begins (benchmarks/onset.py). Listened to once, for a short
        # utterance costs hardly more steps than this silence.
        silence = np.zeros((_REST_HOPS, _CONTEXT + HOP), np.float32)
        _, self.rest_state = self.steps(silence, np.zeros((2, 1, 128), np.float32))

    def steps(
        self, windows: Float32Array, state: Float32Array
    ) -> tuple[Float32Array, Float32Array]:
        """Run hops that follow each other; many at once cost a third each of what one does alone.

        Args:
            windows: Shape (n, 576), float32, n at least 1: each hop behind the last 64 samples of
                the hop before it.
            state: Shape (2, 1, 128), float32: what the last call returned.

        Returns:
            The probability of speech in each hop, shape (n,) in [0, 1], and the next state.
        """
        heard, past = self._inputs
        probability, next_state = self._session.run(self._outputs, {heard: windows, past: state})
        return probability[:, 0], next_state


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
        return float(self._run(hop)[0])

    def push_all(self, hops: Int16Array) -> Float32Array:
        """The same for hops that are all there already.

        Args:
            hops: Shape (n * 512,), int16, 16 kHz.

        Returns:
            Shape (n,); what `push` returns for each, to 1e-6.

        Raises:
            AudioFormatError: Not whole hops of mono int16.
        """
        if len(hops) % HOP:
            raise AudioFormatError(f"a hop is {HOP} samples, got {len(hops)} for several")
        step = _AT_ONCE * HOP
        parts = [self._run(hops[at : at + step]) for at in range(0, len(hops), step)]
        # Most have one part.
        return parts[0] if len(parts) == 1 else np.concatenate([_NONE, *parts])

    def _run(self, hops: Int16Array) -> Float32Array:
        signal = to_float(hops).reshape(-1, HOP)
        windows = np.empty((len(signal), _CONTEXT + HOP), np.float32)
        windows[:, _CONTEXT:] = signal
        windows[0, :_CONTEXT] = self._context
        windows[1:, :_CONTEXT] = signal[:-1, -_CONTEXT:]
        probability, self._state = self._model.steps(windows, self._state)
        self._context = signal[-1, -_CONTEXT:]
        return probability
