"""Repack a language model to Q4_0, which llama.cpp multiplies twice as fast on a CPU.

llama.cpp interleaves Q4_0 rows for the vector unit when it loads them; Q4_1 and Q5_0 it cannot.
What is already fast stays as it is, and so do embeddings, which are looked up and not multiplied.
Run once, at set-up.
"""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFValueType, GGUFWriter, LlamaFileType, ReaderTensor
from gguf.quants import dequantize, quantize

UInt8Array = npt.NDArray[np.uint8]
Float32Array = npt.NDArray[np.float32]

BLOCK = 32
"""Weights that share one scale in Q4_0."""

SCALE_TRIALS = np.array([0.85, 0.9, 0.95, 1.0, 1.05, 1.1], np.float32)
"""Ranges to try around each block's largest weight; the one with the least square error wins.
Twice as many lower the error by less than another hundredth."""

PIECE_BLOCKS = 1 << 14
"""Blocks converted at a time, 2 MiB as floats: they and their trials stay in the cache."""

THREADS = 2

SAMPLED_ROWS = 500
SAME_MATRIX_ERROR = 0.1
"""Largest relative error between two quantisations of one matrix; Q5_0 against Q8_0 has 0.044."""

_ALREADY_FAST = frozenset({Type.F32, Type.F16, Type.Q8_0, Type.Q4_0})
_EMBEDDING = "token_embd.weight"
_OUTPUT = "output.weight"


def repack(source: Path, target: Path) -> None:
    """Write `source` to `target` with its slow matrices as Q4_0; metadata is kept.

    A model whose output matrix is its embedding again, only quantised otherwise, keeps one copy
    of it: the finer one, under the embedding's name, as llama.cpp expects of tied models.

    The same source gives the same bytes on the same machine. Memory stays under 1.5 GiB for half
    a billion weights: the source is mapped, the target's tensors are held until written.

    Raises:
        OSError: `source` cannot be read or `target` not written.
        ValueError: `source` is not a GGUF file.
    """
    reader = GGUFReader(source)
    writer = GGUFWriter(target, _text(reader, "general.architecture"))
    for key, value, value_type, item_type in _metadata(reader):
        writer.add_key_value(key, value, value_type, item_type)
    writer.add_file_type(LlamaFileType.MOSTLY_Q4_0)
    tensors = {tensor.name: tensor for tensor in reader.tensors}
    if _OUTPUT in tensors and _is_same_matrix(tensors[_EMBEDDING], tensors[_OUTPUT]):
        tensors[_EMBEDDING] = tensors.pop(_OUTPUT)
    with ThreadPoolExecutor(THREADS) as pool:
        for name, tensor in tensors.items():
            kind = _target_type(name, tensor.tensor_type, tied=_OUTPUT not in tensors)
            data = tensor.data
            if kind == Type.Q4_0 and tensor.tensor_type != kind:
                data = _to_q4_0(data, tensor.tensor_type, pool)
            elif kind != tensor.tensor_type:
                data = quantize(dequantize(data, tensor.tensor_type), kind)
            writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def quantise_q4_0(weights: Float32Array) -> UInt8Array:
    """Quantise blocks with the scale that fits each best, by least squares.

    The format's reference rounds to the scale that holds the largest weight exactly; weights that
    were quantised once before lose visibly less when the scale may move.

    Args:
        weights: Shape (blocks, 32).

    Returns:
        Shape (blocks, 18): two bytes of float16 scale, then the 32 weights, two to a byte.
    """
    extreme = np.take_along_axis(weights, np.abs(weights).argmax(1, keepdims=True), 1)
    best_error = np.full((len(weights), 1), np.inf, np.float32)
    best_levels = np.zeros_like(weights)
    best_scale = np.zeros((len(weights), 1), np.float32)
    for trial in SCALE_TRIALS:
        # The largest weight, whatever its sign, gets level -8: there are no +8.
        inverse = np.divide(-8 / trial, extreme, out=np.zeros_like(extreme), where=extreme != 0)
        levels = np.clip(np.rint(weights * inverse), -8, 7)
        power = np.einsum("ij,ij->i", levels, levels)[:, None]
        product = np.einsum("ij,ij->i", weights, levels)[:, None]
        scale = np.divide(product, power, out=np.zeros_like(power), where=power != 0)
        # Less the sum of squared weights, which is the same for every trial.
        error = -scale * product
        better = error < best_error
        best_error = np.where(better, error, best_error)
        best_levels = np.where(better, levels, best_levels)
        best_scale = np.where(better, scale, best_scale)
    nibbles = (best_levels + 8).astype(np.uint8)
    packed = nibbles[:, : BLOCK // 2] | (nibbles[:, BLOCK // 2 :] << 4)
    return np.concatenate([best_scale.astype(np.float16).view(np.uint8), packed], axis=1)


def _is_same_matrix(first: ReaderTensor, second: ReaderTensor) -> bool:
    """Whether two matrices differ by no more than quantisation explains, judged by some rows."""
    if list(first.shape) != list(second.shape):
        return False
    rows = slice(None, None, max(1, first.data.shape[0] // SAMPLED_ROWS))
    one = dequantize(first.data[rows], first.tensor_type)
    other = dequantize(second.data[rows], second.tensor_type)
    difference = float(np.square(one - other).mean() / np.square(other).mean())
    return difference < SAME_MATRIX_ERROR**2


def _target_type(name: str, kind: Type, tied: bool) -> Type:
    if kind in _ALREADY_FAST:
        return kind
    if name == _EMBEDDING:
        # Tied, it is also the output matrix: multiplied at every token, and sensitive.
        return Type.Q8_0 if tied else kind
    return Type.Q8_0 if name == _OUTPUT else Type.Q4_0


def _to_q4_0(data: npt.NDArray[Any], kind: Type, pool: ThreadPoolExecutor) -> UInt8Array:
    """Requantise one tensor. `data` has shape (rows, bytes of a row), as the reader maps it."""
    rows = data.shape[0]
    weights_of_row = dequantize(data[:1], kind).shape[-1]
    step = max(1, PIECE_BLOCKS * BLOCK // weights_of_row)

    def piece(start: int) -> UInt8Array:
        weights = dequantize(data[start : start + step], kind)
        return quantise_q4_0(weights.reshape(-1, BLOCK))

    pieces = pool.map(piece, range(0, rows, step))
    return np.concatenate(list(pieces)).reshape(rows, -1)


def _metadata(
    reader: GGUFReader,
) -> Iterator[tuple[str, Any, GGUFValueType, GGUFValueType | None]]:
    """Yield every key with its value and types but those the writer makes itself."""
    for key, field in reader.fields.items():
        if key.startswith("GGUF.") or key in ("general.architecture", "general.file_type"):
            continue
        is_array = field.types[0] == GGUFValueType.ARRAY
        yield key, field.contents(), field.types[0], field.types[-1] if is_array else None


def _text(reader: GGUFReader, key: str) -> str:
    field = reader.get_field(key)
    if field is None:
        raise ValueError(f"the GGUF file has no {key}")
    return str(field.contents())
