"""Cuts the graphs of both tiers of the voice in two, so that a clause is heard while it is decoded.

Each export is one graph from tokens to sound. Its first part (text, durations, pitch) is a small
share of the work; the second, the decoder, is convolutional and can run on any window of a clause.
The student's can as it is. The decoder of full Kokoro has two things that look at the whole clause,
which are changed here so that a window gives what the whole would have given:

- Its 54 instance normalisations take mean and variance over the whole clause. For one style these
  hardly change from clause to clause; they become constants, measured on calibration clauses.
  Without this a window of half a second is 2 to 4 dB off and sounds like another recording.
- The phase of its pitch harmonics runs on from the first frame. It becomes an input.
"""

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx
import onnxruntime as ort
from onnx import ModelProto, NodeProto, TensorProto, ValueInfoProto, helper, numpy_helper

from agent.audio.chunk import Float32Array
from agent.errors import MissingModelError

# The exports' own names for the values between their parts.
_FEATURES = "/encoder/MatMul_1_output_0"
_PITCH = "/encoder/Reshape_output_0"
_ENERGY = "/encoder/Reshape_1_output_0"
_DURATIONS = "/encoder/Gather_output_0"
_HARMONICS = "/decoder/decoder/generator/m_source/l_sin_gen/CumSum_output_0"
_NAMES = {
    _FEATURES: "features",
    _PITCH: "pitch",
    _ENERGY: "energy",
    _DURATIONS: "durations",
}
_STUDENT_NAMES = {
    "/Gather_32_output_0": "features",
    "f0": "pitch",
    "/Mul_62_output_0": "energy",
    "/Cast_32_output_0": "durations",
    "ids": "tokens",
}
_SPECTRUM = ("lh", "theta", "ln", "lr", "phi")


@dataclass(frozen=True, slots=True)
class Split:
    """A voice in two graphs.

    Attributes:
        prosody: ``tokens`` int64 (1, n) and ``speed`` float32 (1,), for Kokoro also ``style``
            float32 (1, 256), to ``features`` float32 (1, c, t), ``pitch`` and ``energy`` float32
            (1, 2t) and ``durations`` int64 (n,), whose sum t counts steps of 25 ms.
        decoder: Any window of features, pitch and energy. Kokoro's also takes ``style`` and
            ``phase`` float32 (1, 1, 9) and gives ``audio`` float32 (600t,) at 24 kHz; the
            student's gives the five parts of a spectrum, each float32 (1, 601, 2t).
    """

    prosody: ModelProto
    decoder: ModelProto


def split_kokoro(source: Path, style: Float32Array, calibration: Sequence[Sequence[int]]) -> Split:
    """Cut the graph and fix the decoder's statistics for one style.

    Args:
        source: The export, ``kokoro.onnx``; not changed.
        style: Shape (1, 256), the only style the decoder will be right for.
        calibration: Token ids of a few clauses, pads included.

    Raises:
        MissingModelError: The file is not the export this was written for.
    """
    whole = _load(source, [*_NAMES, _HARMONICS], "kokoro-82m")
    inputs = {value.name: value for value in whole.graph.input}
    prosody = _part(whole, list(inputs.values()), _values(_NAMES))
    between = _values((_FEATURES, _PITCH, _ENERGY))
    decoder = _part(whole, [*between, inputs["style"]], list(whole.graph.output))
    _rename(prosody, _NAMES)
    _rename(decoder, _NAMES)
    _take_phase_from_input(decoder)
    _fix_statistics(decoder, _measure_statistics(prosody, decoder, style, calibration))
    return Split(prosody, decoder)


def split_student(source: Path) -> Split:
    """Cut the student's graph, ``hibari.onnx``; the file is not changed.

    Raises:
        MissingModelError: The file is not the export this was written for.
    """
    whole = _load(source, list(_STUDENT_NAMES), "kokoro-student")
    features, pitch, energy, durations, _ = _STUDENT_NAMES
    prosody = _part(
        whole,
        list(whole.graph.input),
        [*_values((features, pitch, energy)), _value(durations, TensorProto.INT64)],
    )
    spectrum = [value for value in whole.graph.output if value.name in _SPECTRUM]
    decoder = _part(whole, _values((features, pitch, energy)), spectrum)
    _rename(prosody, _STUDENT_NAMES)
    _rename(decoder, _STUDENT_NAMES)
    return Split(prosody, decoder)


def _load(source: Path, expected: Collection[str], model: str) -> ModelProto:
    whole = onnx.load(source)
    known = {output for node in whole.graph.node for output in node.output}
    known |= {value.name for value in whole.graph.input}
    if absent := set(expected) - known:
        raise MissingModelError(
            f"{source} is another export than expected (it has no {min(absent)}); "
            f"run: duplex models fetch {model}"
        )
    return whole


def _part(
    whole: ModelProto, inputs: list[ValueInfoProto], outputs: list[ValueInfoProto]
) -> ModelProto:
    """The nodes and weights between these values, in the order of the whole graph."""
    graph = whole.graph
    nodes = _needed(graph.node, [value.name for value in outputs], {value.name for value in inputs})
    used = {name for node in nodes for name in node.input}
    weights = [weight for weight in graph.initializer if weight.name in used]
    part = helper.make_graph(nodes, "voice", inputs, outputs, weights)
    return helper.make_model(part, opset_imports=whole.opset_import, ir_version=whole.ir_version)


def _needed(
    nodes: Sequence[NodeProto], outputs: Sequence[str], given: Collection[str]
) -> list[NodeProto]:
    producer = {output: index for index, node in enumerate(nodes) for output in node.output}
    wanted = list(outputs)
    kept: set[int] = set()
    while wanted:
        name = wanted.pop()
        index = producer.get(name)
        if index is None or index in kept or name in given:
            continue
        kept.add(index)
        wanted += [value for value in nodes[index].input if value]
    return [node for index, node in enumerate(nodes) if index in kept]


def _values(names: Iterable[str]) -> list[ValueInfoProto]:
    return [
        _value(name, TensorProto.INT64 if name == _DURATIONS else TensorProto.FLOAT)
        for name in names
    ]


def _value(
    name: str, element: int = TensorProto.FLOAT, shape: Sequence[int | str] | None = None
) -> ValueInfoProto:
    # Without a shape: lengths differ between clauses, and the runtime infers the rest.
    return helper.make_tensor_value_info(name, element, shape)


def _rename(model: ModelProto, names: Mapping[str, str]) -> None:
    graph = model.graph
    for node in graph.node:
        node.input[:] = [names.get(name, name) for name in node.input]
        node.output[:] = [names.get(name, name) for name in node.output]
    for value in (*graph.input, *graph.output):
        value.name = names.get(value.name, value.name)


def _take_phase_from_input(decoder: ModelProto) -> None:
    """Add the phase at which the window begins to the harmonics' own running sum."""
    graph = decoder.graph
    nodes = []
    for node in graph.node:
        nodes.append(node)
        if _HARMONICS in node.output:
            node.output[0] = "running_phase"
            nodes.append(helper.make_node("Add", ["running_phase", "phase"], [_HARMONICS]))
    del graph.node[:]
    graph.node.extend(nodes)
    graph.input.append(_value("phase", shape=[1, 1, 9]))


def _statistics(decoder: ModelProto) -> list[NodeProto]:
    """The nodes that give means and variances over time."""
    return [node for node in decoder.graph.node if node.op_type == "ReduceMean"]


def _measure_statistics(
    prosody: ModelProto,
    decoder: ModelProto,
    style: Float32Array,
    calibration: Sequence[Sequence[int]],
) -> dict[str, Float32Array]:
    names = [node.output[0] for node in _statistics(decoder)]
    measuring = ModelProto()
    measuring.CopyFrom(decoder)
    measuring.graph.output.extend(_values(names))
    front, back = _open(prosody), _open(measuring)
    sums: dict[str, Float32Array] = {}
    total = 0
    for tokens in calibration:
        features, pitch, energy = front.run(
            ["features", "pitch", "energy"],
            {
                "tokens": np.array([tokens], np.int64),
                "style": style,
                "speed": np.ones(1, np.float32),
            },
        )
        window = {
            "features": features,
            "pitch": pitch,
            "energy": energy,
            "style": style,
            "phase": np.zeros((1, 1, 9), np.float32),
        }
        steps = features.shape[2]
        total += steps
        for name, value in zip(names, back.run(names, window), strict=True):
            sums[name] = sums.get(name, np.float32(0)) + value * np.float32(steps)
    return {name: value / np.float32(total) for name, value in sums.items()}


def _fix_statistics(decoder: ModelProto, statistics: Mapping[str, Float32Array]) -> None:
    graph = decoder.graph
    kept = [node for node in graph.node if node.op_type != "ReduceMean"]
    graph.initializer.extend(
        numpy_helper.from_array(np.asarray(value, np.float32), name)
        for name, value in statistics.items()
    )
    needed = _needed(kept, ["audio"], {value.name for value in graph.input})
    del graph.node[:]
    graph.node.extend(needed)


def _open(model: ModelProto) -> ort.InferenceSession:
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    return ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
