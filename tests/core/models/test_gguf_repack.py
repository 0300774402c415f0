"""Repacking small GGUF files whose contents are known."""

from pathlib import Path

import numpy as np
import pytest
from gguf import GGMLQuantizationType as Type
from gguf import GGUFReader, GGUFWriter
from gguf.quants import dequantize, quantize

from agent.models.gguf_repack import quantise_q4_0, repack


def gaussian(seed: int, rows: int = 64, columns: int = 256) -> np.ndarray:
    return np.random.default_rng(seed).standard_normal((rows, columns), np.float32)


def write(path: Path, tensors: dict[str, tuple[np.ndarray, Type]]) -> None:
    writer = GGUFWriter(path, "qwen2")
    writer.add_string("general.name", "Ünïcode")
    writer.add_file_type(15)
    writer.add_block_count(1)
    writer.add_token_list([b"a", b"\xc4\xa0b", "c\u2581"])
    writer.add_token_types([1, 2, 3])
    writer.add_rope_freq_base(1e6)
    writer.add_add_bos_token(False)
    for name, (weights, kind) in tensors.items():
        data = weights if kind == Type.F32 else quantize(weights, kind)
        writer.add_tensor(name, data, raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def weights_of(path: Path) -> dict[str, tuple[Type, np.ndarray]]:
    return {
        tensor.name: (tensor.tensor_type, dequantize(tensor.data, tensor.tensor_type))
        for tensor in GGUFReader(path).tensors
    }


def relative_error(approximation: np.ndarray, exact: np.ndarray) -> float:
    return float(np.sqrt(np.square(approximation - exact).sum() / np.square(exact).sum()))


def test_fits_closer_than_the_formats_own_rounding() -> None:
    weights = gaussian(1, 500, 32)
    packed = quantise_q4_0(weights)
    assert packed.shape == (500, 18)
    reference = dequantize(quantize(weights, Type.Q4_0), Type.Q4_0)
    ours = dequantize(packed, Type.Q4_0)
    assert relative_error(ours, weights) < 0.96 * relative_error(reference, weights)
    # In no block is it worse: the reference's scale is among the trials. float16 rounds the scale.
    worse = np.square(ours - weights).sum(1) - np.square(reference - weights).sum(1)
    assert worse.max() < 1e-3


def test_blocks_of_zeros_stay_zero() -> None:
    assert not dequantize(quantise_q4_0(np.zeros((3, 32), np.float32)), Type.Q4_0).any()


@pytest.mark.parametrize("kind", [Type.Q5_0, Type.Q4_1, Type.Q5_1])
def test_repacks_only_what_is_slow(tmp_path: Path, kind: Type) -> None:
    tensors = {
        "token_embd.weight": (gaussian(1), Type.Q5_0),
        "blk.0.attn_norm.weight": (gaussian(2, 1), Type.F32),
        "blk.0.ffn_up.weight": (gaussian(3), kind),
        "blk.0.attn_v.weight": (gaussian(4), Type.Q8_0),
        "output.weight": (gaussian(5), Type.Q8_0),
    }
    write(tmp_path / "in.gguf", tensors)
    repack(tmp_path / "in.gguf", tmp_path / "out.gguf")
    before, after = weights_of(tmp_path / "in.gguf"), weights_of(tmp_path / "out.gguf")
    assert set(after) == set(tensors)
    assert after["blk.0.ffn_up.weight"][0] == Type.Q4_0
    error = relative_error(after["blk.0.ffn_up.weight"][1], before["blk.0.ffn_up.weight"][1])
    assert 0.02 < error < 0.1
    for name in set(tensors) - {"blk.0.ffn_up.weight"}:
        assert after[name][0] == before[name][0]
        assert np.array_equal(after[name][1], before[name][1])


def test_keeps_a_tied_matrix_once_and_finer(tmp_path: Path) -> None:
    tensors = {
        "token_embd.weight": (gaussian(1), Type.Q5_0),
        "output.weight": (gaussian(1), Type.Q8_0),
    }
    write(tmp_path / "in.gguf", tensors)
    repack(tmp_path / "in.gguf", tmp_path / "out.gguf")
    after = weights_of(tmp_path / "out.gguf")
    assert set(after) == {"token_embd.weight"}
    assert after["token_embd.weight"][0] == Type.Q8_0
    assert relative_error(after["token_embd.weight"][1], gaussian(1)) < 0.01


def test_keeps_metadata_and_gives_the_same_bytes_twice(tmp_path: Path) -> None:
    write(tmp_path / "in.gguf", {"token_embd.weight": (gaussian(1), Type.Q5_0)})
    repack(tmp_path / "in.gguf", tmp_path / "one.gguf")
    repack(tmp_path / "in.gguf", tmp_path / "two.gguf")
    assert (tmp_path / "one.gguf").read_bytes() == (tmp_path / "two.gguf").read_bytes()

    def metadata(path: Path) -> dict[str, object]:
        fields = GGUFReader(path).fields
        skipped = ("GGUF.", "general.file_type")
        return {k: f.contents() for k, f in fields.items() if not k.startswith(skipped)}

    assert metadata(tmp_path / "one.gguf") == metadata(tmp_path / "in.gguf")
    assert GGUFReader(tmp_path / "one.gguf").fields["general.file_type"].contents() == 2
