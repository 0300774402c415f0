"""Smart Turn's graph for a shorter window: made at start, read by `agent.turns.smart_turn`.

The export hears 8 s, most of it before the turn, and rounds every value on its way to eight bits of
a range fixed beforehand. Here the same weights are put together anew:

- for the last positions of the window only: an encoder's work grows with its length;
- only what enters a matrix product is rounded, to the range it has at that moment. With the
  export's ranges one score in six falls on the other side of one half than in full precision, with
  these one in twenty, at three quarters of the cost (`docs/turns.md`);
- weights keep seven of their eight bits: without VNNI the eight-bit kernels add pairs of products
  in 16 bits, which saturate (as in `agent.models.moonshine_graph`).
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import ModelProto, NodeProto, TensorProto, helper, numpy_helper

from agent.audio.chunk import Float32Array
from agent.errors import MissingModelError

INPUT = "features"
"""Shape (1, 80, 2 * positions) float32: what `agent.turns.mel.log_mel` gives."""

OUTPUT = "probability"
"""Shape (1, 1) float32: that the turn is finished."""

POSITIONS_PER_S = 50
"""Of the encoder; each is two steps of the features."""

_LAYERS, _HEADS = 4, 6
_TAPS = 3
_EPSILON = 1e-5
_MICROSOFT = "com.microsoft"

_Array = npt.NDArray[Any]


def shorten(source: Path, positions: int) -> ModelProto:
    """The graph that hears the last `positions` of the export's 400; the file is not changed.

    Raises:
        MissingModelError: The file is not the export this was written for.
    """
    try:
        return _Shorter(_Export(source), positions).model()
    except (KeyError, ValueError) as error:
        raise MissingModelError(
            f"{source} is another export than expected ({error}); "
            "run: pip install --force-reinstall --no-deps pipecat-ai"
        ) from None


class _Export:
    """Weights of the export in full precision, by the names PyTorch gave them."""

    def __init__(self, source: Path) -> None:
        graph = onnx.load(source).graph
        self._stored = {weight.name: numpy_helper.to_array(weight) for weight in graph.initializer}
        self._made_by = {output: node for node in graph.node for output in node.output}
        self._users: dict[str, list[NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self._users.setdefault(name, []).append(node)

    def value(self, name: str) -> Float32Array:
        """A weight, shaped as in the export, with one dimension at least."""
        if name in self._stored:
            return np.asarray(self._stored[name], np.float32)
        node = self._made_by[name]
        numbers, scale, _ = (self._stored[given] for given in node.input)
        if scale.size > 1:
            (axis,) = (given.i for given in node.attribute if given.name == "axis")
            scale = np.expand_dims(scale, [at for at in range(numbers.ndim) if at != axis])
        return np.atleast_1d((numbers * scale).astype(np.float32))

    def matrix(self, bias: str) -> Float32Array:
        """What is multiplied by before this bias is added, shape (inputs, outputs)."""
        return self.value(self._product(bias).input[1])

    def keys(self, query: str, values: str) -> Float32Array:
        """The third product over what these two are made of; Whisper's keys have no bias."""
        known = {self._product(bias).name for bias in (query, values)}
        beside = self._users[self._product(query).input[0]]
        (node,) = (one for one in beside if one.op_type == "MatMul" and one.name not in known)
        return self.value(node.input[1])

    def _product(self, bias: str) -> NodeProto:
        (add,) = self._users[bias]
        (summed,) = (name for name in add.input if name != bias)
        rounding = self._made_by[self._made_by[summed].input[0]]
        product: NodeProto = self._made_by[rounding.input[0]]
        return product


class _Shorter:
    """Builds the graph node by node."""

    def __init__(self, export: _Export, positions: int) -> None:
        self._export = export
        self._positions = positions
        self._nodes: list[NodeProto] = []
        self._weights: list[TensorProto] = []

    def model(self) -> ModelProto:
        value = self._add("Transpose", [INPUT], perm=[0, 2, 1])
        for name, stride in (("inner.encoder.conv1", 1), ("inner.encoder.conv2", 2)):
            value = self._gelu(self._convolved(value, name, stride))
        places = self._export.value("inner.encoder.embed_positions.weight")[-self._positions :]
        value = self._add("Add", [value, self._constant(places)])
        for layer in range(_LAYERS):
            value = self._layer(value, f"inner.encoder.layers.{layer}")
        value = self._pooled(self._normalised(value, "inner.encoder.layer_norm"))
        self._nodes.append(helper.make_node("Sigmoid", [self._classified(value)], [OUTPUT]))
        shape = [1, 80, 2 * self._positions]
        graph = helper.make_graph(
            self._nodes,
            "smart_turn",
            [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, [1, 1])],
            self._weights,
        )
        opsets = [helper.make_opsetid("", 18), helper.make_opsetid(_MICROSOFT, 1)]
        return helper.make_model(graph, opset_imports=opsets, ir_version=8)

    def _convolved(self, value: str, name: str, stride: int) -> str:
        """As a product over neighbours: the runtime's own convolution rounds its sums as well."""
        ends = self._numbers(0, 1, 0, 0, 1, 0)
        padded = self._add("Pad", [value, ends])
        steps = 2 * self._positions
        taps = [
            self._add(
                "Slice",
                [padded, *(self._numbers(one) for one in (tap, tap + steps, 1, stride))],
            )
            for tap in range(_TAPS)
        ]
        neighbours = self._add("Concat", taps, axis=2)
        kernel = self._export.value(f"{name}.weight_DequantizeLinear_Output")
        matrix = kernel.transpose(2, 1, 0).reshape(-1, len(kernel))
        return self._times(neighbours, matrix, self._export.value(f"{name}.bias"))

    def _layer(self, value: str, name: str) -> str:
        query, values = (f"{name}.self_attn.{part}_proj.bias" for part in "qv")
        biases = [self._export.value(one) for one in (query, values)]
        keys = self._export.keys(query, values)
        matrices = [self._export.matrix(query), keys, self._export.matrix(values)]
        projected = self._times(
            self._normalised(value, f"{name}.self_attn_layer_norm"),
            np.concatenate(matrices, axis=1),
            np.concatenate([biases[0], np.zeros_like(biases[0]), biases[1]]),
        )
        parts = [f"{name}.{part}" for part in ("query", "key", "value")]
        self._nodes.append(helper.make_node("Split", [projected], parts, axis=-1, num_outputs=3))
        attended = self._add("MultiHeadAttention", parts, _MICROSOFT, num_heads=_HEADS)
        value = self._add("Add", [value, self._linear(attended, f"{name}.self_attn.out_proj")])
        wide = self._normalised(value, f"{name}.final_layer_norm")
        wide = self._gelu(self._linear(wide, f"{name}.fc1"))
        return self._add("Add", [value, self._linear(wide, f"{name}.fc2")])

    def _pooled(self, value: str) -> str:
        """The mean over positions, weighed by what each says of itself."""
        weight = self._add("Tanh", [self._linear(value, "inner.pool_attention.0")])
        weight = self._add("Softmax", [self._linear(weight, "inner.pool_attention.2")], axis=1)
        weighed = self._add("Mul", [value, weight])
        return self._add("ReduceSum", [weighed, self._numbers(1)], keepdims=0)

    def _classified(self, value: str) -> str:
        """One vector: so little work that full precision costs nothing."""
        for number in (0, 4, 6):
            name = f"inner.classifier.{number}"
            weight = self._constant(self._export.value(f"{name}.weight_DequantizeLinear_Output"))
            bias = self._constant(self._export.value(f"{name}.bias"))
            value = self._add("Gemm", [value, weight, bias], transB=1)
            if number == 0:
                value = self._normalised(value, "inner.classifier.1")
            if number != 6:
                value = self._gelu(value)
        return value

    def _linear(self, value: str, name: str) -> str:
        bias = f"{name}.bias"
        return self._times(value, self._export.matrix(bias), self._export.value(bias))

    def _times(self, value: str, matrix: Float32Array, bias: Float32Array) -> str:
        scale = np.maximum(np.abs(matrix).max(axis=0), 1e-12) / _SEVEN_BITS
        numbers = np.round(matrix / scale).astype(np.int8)
        weights = [self._constant(numbers), self._constant(scale.astype(np.float32))]
        inputs = [value, *weights, "", self._constant(bias)]
        return self._add("DynamicQuantizeMatMul", inputs, _MICROSOFT)

    def _normalised(self, value: str, name: str) -> str:
        names = (f"{name}.weight", f"{name}.bias")
        parts = [self._constant(self._export.value(one)) for one in names]
        return self._add("LayerNormalization", [value, *parts], axis=-1, epsilon=_EPSILON)

    def _gelu(self, value: str) -> str:
        return self._add("Gelu", [value], _MICROSOFT)

    def _add(self, kind: str, inputs: Sequence[str], domain: str = "", **settings: Any) -> str:
        output = f"{kind}_{len(self._nodes)}"
        self._nodes.append(helper.make_node(kind, inputs, [output], domain=domain, **settings))
        return output

    def _numbers(self, *values: int) -> str:
        return self._constant(np.array(values, np.int64))

    def _constant(self, value: _Array) -> str:
        name = f"weight_{len(self._weights)}"
        self._weights.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name


_SEVEN_BITS = 63
