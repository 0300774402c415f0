"""Opens ONNX graphs with inner values as further outputs."""

from collections.abc import Mapping
from enum import IntEnum
from pathlib import Path

import onnxruntime as ort

from agent.errors import MissingModelError

# Field numbers of the ONNX schema.
_MODEL_GRAPH = 7
_GRAPH_OUTPUT = 12
_VALUE_NAME = 1
_VALUE_TYPE = 2
_TYPE_TENSOR = 1
_TENSOR_ELEMENT = 1


class Element(IntEnum):
    """ONNX's numbers for the element types used here."""

    FLOAT32 = 1
    INT64 = 7


def open_graph(
    path: Path, extra_outputs: Mapping[str, Element] | None = None, threads: int = 1
) -> ort.InferenceSession:
    """Load a graph for the CPU.

    Args:
        path: The ONNX file; it is not changed.
        extra_outputs: Values inside the graph to be given as well, with their element types.
        threads: For one run. Two are slower than one for graphs as small as the student's.

    Raises:
        MissingModelError: The file is absent, or it is not the graph that was expected.
    """
    options = ort.SessionOptions()
    options.intra_op_num_threads, options.inter_op_num_threads = threads, 1
    # A thread that spins while it waits takes its core from the recogniser.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.log_severity_level = 3
    try:
        model = path.read_bytes()
        for name, element in (extra_outputs or {}).items():
            model += _output_field(name, element)
        return ort.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    except (OSError, RuntimeError) as error:
        raise MissingModelError(
            f"{path} cannot be opened as a voice ({error}); run: duplex doctor"
        ) from error


def _output_field(name: str, element: Element) -> bytes:
    """A model that holds one graph output and nothing else, encoded.

    Protocol buffers merge what is concatenated, so appended to a model this adds the output:
    the onnx package, which takes longer to import than the graph to load, is not needed.
    """
    tensor = _number(_TENSOR_ELEMENT, element)
    value = _text(_VALUE_NAME, name.encode()) + _text(_VALUE_TYPE, _text(_TYPE_TENSOR, tensor))
    return _text(_MODEL_GRAPH, _text(_GRAPH_OUTPUT, value))


def _number(field: int, value: int) -> bytes:
    return bytes([field << 3]) + _varint(value)


def _text(field: int, payload: bytes) -> bytes:
    return bytes([field << 3 | 2]) + _varint(len(payload)) + payload


def _varint(value: int) -> bytes:
    encoded = b""
    while value > 0x7F:
        encoded += bytes([value & 0x7F | 0x80])
        value >>= 7
    return encoded + bytes([value])
