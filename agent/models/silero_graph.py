"""Silero's graph for many hops at once: made at start, read by `agent.vad.silero`.

Only the network's last layer, an LSTM, remembers; all before it looks at one hop alone. The export
hears one hop a call, by convolutions over four positions, between nodes that only compute shapes.
Here the same weights, in full precision, become matrix products over all hops of a call, and the
LSTM runs along them: the posterior is the export's to 1e-5. On one core of an EPYC a lone hop takes
0.055 ms instead of 0.12, each of 16 takes 0.018 ms.

The network, after the export's own graph: magnitudes of four overlapping spectra of a window whose
end is mirrored; four convolutions over three positions, two of them with a stride of two, which
leave one position; an LSTM; one logistic output.
"""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from agent.audio.chunk import Float32Array
from agent.errors import MissingModelError

WINDOWS, STATE = "windows", "state"
"""Inputs: (hops, 576) float32, each hop behind the 64 samples before it; (2, 1, 128) float32."""

POSTERIOR, NEXT_STATE = "posterior", "next_state"
"""Outputs: (hops, 1) float32 in [0, 1]; (2, 1, 128) float32, after the last hop."""

WINDOW = 576
"""Samples of a hop and what it is given of the one before."""

_STEP = 128
"""Samples from one spectrum to the next; a spectrum hears twice as many."""

_SPECTRA = 4
_BINS = 129
_UNITS = 128
_HALF = "then_branch"
_MIRRORED = _SPECTRA * _STEP + _STEP - WINDOW

_Array = npt.NDArray[Any]
_Shapes = Mapping[str, Sequence[str | int]]


def stretch(source: Path) -> ModelProto:
    """The graph over any number of hops; the file is not changed.

    Raises:
        MissingModelError: The file is not the export this was written for.
    """
    try:
        return _Stretched(_weights(source)).model()
    except (KeyError, IndexError, ValueError) as error:
        raise MissingModelError(
            f"{source} is another export than expected ({error!r}); "
            "run: pip install --force-reinstall --no-deps pipecat-ai"
        ) from None


def _weights(source: Path) -> dict[str, Float32Array]:
    """Of the half of the export that hears 16 kHz, by the names PyTorch gave them."""
    choices = [node for node in onnx.load(source).graph.node if node.op_type == "If"]
    branches = [given.g for node in choices for given in node.attribute if given.name == _HALF]
    return {
        # "If_0_then_branch__Inline_0__encoder.0.reparam_conv.weight"
        node.output[0].split("__")[-1]: numpy_helper.to_array(node.attribute[0].t)
        for branch in branches
        for node in branch.node
        if node.op_type == "Constant"
    }


class _Stretched:
    """Builds the graph node by node. A value's rows are hops, or positions of hops in order."""

    def __init__(self, weights: dict[str, Float32Array]) -> None:
        self._weight = weights
        self._nodes: list[NodeProto] = []
        self._stored: list[TensorProto] = []

    def model(self) -> ModelProto:
        value = self._spectra()
        value = self._convolved(value, 0, _SPECTRA)
        value = self._convolved(value, 1, _SPECTRA, stride=2)
        value = self._convolved(value, 2, _SPECTRA // 2, stride=2)
        value = self._convolved(value, 3, 1)
        self._recurrent(value)
        inputs: _Shapes = {WINDOWS: ["hops", WINDOW], STATE: [2, 1, _UNITS]}
        outputs: _Shapes = {POSTERIOR: ["hops", 1], NEXT_STATE: [2, 1, _UNITS]}
        graph = helper.make_graph(
            self._nodes, "silero", _declared(inputs), _declared(outputs), self._stored
        )
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=8)

    def _spectra(self) -> str:
        """Magnitudes, (hops, 4 * 129)."""
        ends = self._numbers(0, 0, 0, _MIRRORED)
        signal = self._add("Pad", [WINDOWS, ends], mode="reflect")
        parts = self._add("Reshape", [signal, self._numbers(-1, _SPECTRA + 1, _STEP)])
        halves = [self._slice(parts, first, first + _SPECTRA) for first in (0, 1)]
        heard = self._add("Concat", halves, axis=2)
        heard = self._add("Reshape", [heard, self._numbers(-1, 2 * _STEP)])
        basis = self._weight["stft.forward_basis_buffer"][:, 0].T
        squares = []
        for part in (basis[:, :_BINS], basis[:, _BINS:]):
            value = self._add("MatMul", [heard, self._constant(part)])
            squares.append(self._add("Mul", [value, value]))
        magnitude = self._add("Sqrt", [self._add("Add", squares)])
        return self._add("Reshape", [magnitude, self._numbers(-1, _SPECTRA * _BINS)])

    def _convolved(self, value: str, number: int, positions: int, stride: int = 1) -> str:
        """A convolution over a hop's positions, as one product.

        Args:
            value: (hops, positions * channels).
            number: Of the layer.
            positions: That go in; one of `stride` comes out.
            stride: From one to the next.

        Returns:
            (hops, positions // stride * channels).
        """
        weight = self._weight[f"encoder.{number}.reparam_conv.weight"].transpose(2, 1, 0)
        bias = self._weight[f"encoder.{number}.reparam_conv.bias"]
        places = [at + tap for at in range(0, positions, stride) for tap in (0, 1, 2)]
        if len(places) == 3:
            # One position comes out: what of its three neighbours is outside needs no product.
            weight = weight[1 : 1 + positions]
        else:
            inputs = weight.shape[1]
            value = self._add("Reshape", [value, self._numbers(-1, positions, inputs)])
            value = self._add("Pad", [value, self._numbers(0, 1, 0, 0, 1, 0)])
            value = self._add("Gather", [value, self._numbers(*places)], axis=1)
            value = self._add("Reshape", [value, self._numbers(-1, 3 * inputs)])
        matrix = weight.reshape(-1, len(bias))
        value = self._add("Gemm", [value, self._constant(matrix), self._constant(bias)])
        value = self._add("Relu", [value])
        return self._add("Reshape", [value, self._numbers(-1, positions // stride * len(bias))])

    def _recurrent(self, value: str) -> None:
        weights, recurrent, *biases = (
            _reordered(self._weight[f"decoder.rnn.{name}"])
            for name in ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
        )
        given = [weights, recurrent, np.concatenate(biases)]
        value = self._add("Unsqueeze", [value, self._numbers(1)])
        states = [self._slice(STATE, at, at + 1, axis=0) for at in (0, 1)]
        inputs = [value, *(self._constant(one[None]) for one in given), "", *states]
        outputs = ["heard", "hidden", "cell"]
        self._nodes.append(helper.make_node("LSTM", inputs, outputs, hidden_size=_UNITS))
        self._nodes.append(helper.make_node("Concat", outputs[1:], [NEXT_STATE], axis=0))
        value = self._add("Relu", [self._add("Reshape", ["heard", self._numbers(-1, _UNITS)])])
        weight, bias = (self._weight[f"decoder.decoder.2.{name}"] for name in ("weight", "bias"))
        value = self._add("Gemm", [value, self._constant(weight[:, :, 0].T), self._constant(bias)])
        self._nodes.append(helper.make_node("Sigmoid", [value], [POSTERIOR]))

    def _slice(self, value: str, start: int, end: int, axis: int = 1) -> str:
        return self._add("Slice", [value, *(self._numbers(one) for one in (start, end, axis))])

    def _add(self, kind: str, inputs: Sequence[str], **settings: Any) -> str:
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], **settings))
        return output

    def _numbers(self, *values: int) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, value: _Array) -> str:
        name = f"weight_{len(self._stored)}"
        self._stored.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


def _declared(values: _Shapes) -> list[ValueInfoProto]:
    return [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)
        for name, shape in values.items()
    ]


def _reordered(gates: Float32Array) -> Float32Array:
    """PyTorch orders an LSTM's gates input, forget, cell, output; ONNX has the output second."""
    given, forget, cell, output = np.split(gates, 4)
    return np.concatenate([given, output, forget, cell])
