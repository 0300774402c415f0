"""Loading a checkpoint and setting it up to be called directly."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from loguru import logger
from omegaconf import OmegaConf, open_dict

from agent.errors import MissingModelError, SettingsError
from agent.parakeet.nemo.budget import EncoderShape
from agent.parakeet.nemo.words import Vocabulary

_NEMO_ERROR = 40
"""Its INFO lines print whole configurations, training paths included."""

_CONFIDENCE = {
    "preserve_frame_confidence": True,
    "exclude_blank": True,
    "method_cfg": {
        "name": "entropy",
        "entropy_type": "tsallis",
        "alpha": 0.5,
        "entropy_norm": "exp",
    },
}
"""Finds wrong words better than the largest probability (Laptev and Ginsburg, arXiv 2212.08703)."""


def load(name: str) -> Any:
    """Bring a transducer into memory, on the CPU and in float32.

    Args:
        name: Path of a ``.nemo`` file, or a hub name such as ``nvidia/parakeet-tdt-0.6b-v2``.

    Returns:
        An ``EncDecRNNTModel`` that is frozen, without dither, and decodes greedily in batches.

    Raises:
        MissingModelError: Neither a file nor to be had from the hub.
        SettingsError: Not a transducer.
    """
    os.environ.setdefault("HF_HUB_DISABLE_TELEMETRY", "1")
    from nemo.collections.asr.models import ASRModel, EncDecRNNTModel
    from nemo.utils import logging

    logging.setLevel(_NEMO_ERROR)
    path = Path(name).expanduser()
    try:
        if path.suffix == ".nemo" or path.exists():
            model = ASRModel.restore_from(str(path), map_location=torch.device("cpu"))
        else:
            model = ASRModel.from_pretrained(name, map_location=torch.device("cpu"))
    except Exception as error:  # NeMo, the hub and tar files raise anything
        raise MissingModelError(
            f"cannot load {name!r}: {type(error).__name__}: {_first_line(error)}; give the path "
            "of a .nemo file, or a hub name such as nvidia/parakeet-tdt-0.6b-v2 with the network on"
        ) from error
    if not isinstance(model, EncDecRNNTModel):
        raise SettingsError(
            f"{name!r} is a {type(model).__name__}; this engine runs transducers (RNNT, TDT and "
            "hybrid checkpoints), such as nvidia/parakeet-tdt-0.6b-v2"
        )
    return prepare(model)


def prepare(model: Any) -> Any:
    """Make a model the same at every call: no dither, no padding, greedy decoding in batches."""
    model.freeze()
    model.preprocessor.featurizer.dither = 0.0
    model.preprocessor.featurizer.pad_to = 0
    decoding = OmegaConf.create(OmegaConf.to_container(model.cfg.decoding, resolve=True))
    with open_dict(decoding):
        decoding.strategy = "greedy_batch"
        # Changing it later would rebuild the decoder; word times are ours, from the frames.
        decoding.compute_timestamps = False
        decoding.preserve_alignments = False
        decoding.confidence_cfg = _CONFIDENCE
        decoding.greedy = {
            "max_symbols": (decoding.get("greedy") or {}).get("max_symbols") or 10,
            "loop_labels": True,
            # One stream's capture breaks another engine's on the same device.
            "use_cuda_graph_decoder": False,
        }
    model.change_decoding_strategy(decoding, verbose=False)
    return model


def vocabulary(model: Any) -> Vocabulary:
    """The meaning of the model's tokens."""
    tokenizer = model.tokenizer
    size = model.joint.num_classes_with_blank - model.joint.num_extra_outputs - 1
    pieces = [str(piece) for piece in tokenizer.ids_to_tokens(list(range(size)))]
    return Vocabulary(pieces, tokenizer.ids_to_text, frame_samples(model))


def frame_samples(model: Any) -> int:
    """16 kHz samples of one encoder frame."""
    hop: int = model.preprocessor.featurizer.hop_length
    factor: int = model.encoder.subsampling_factor
    return hop * factor


def shape(model: Any, value_bytes: int) -> EncoderShape:
    """What the encoder's memory depends on."""
    encoder: Mapping[str, Any] = model.cfg.encoder
    return EncoderShape(
        width=encoder["d_model"],
        heads=encoder["n_heads"],
        mels=encoder["feat_in"],
        channels=encoder.get("subsampling_conv_channels", encoder["d_model"]),
        value_bytes=value_bytes,
        is_local=encoder.get("self_attention_model") == "rel_pos_local_attn",
    )


_V3_LANGUAGES = "bg cs da de el en es et fi fr hr hu it lt lv mt nl pl pt ro ru sk sl sv uk"
"""From the model card of nvidia/parakeet-tdt-0.6b-v3."""


def languages(name: str, given: str) -> tuple[str, ...]:
    """Codes of what the checkpoint understands: as given, else by its name, else English."""
    if given:
        return tuple(code.strip() for code in given.split(",") if code.strip())
    return tuple(_V3_LANGUAGES.split()) if "tdt-0.6b-v3" in name else ("en",)


def short_name(name: str) -> str:
    """What callers may ask for: ``parakeet-tdt-0.6b-v2``."""
    return name.rstrip("/").rsplit("/", 1)[-1].removesuffix(".nemo")


def place(model: Any, device: torch.device, dtype: torch.dtype) -> None:
    """Move the parts that compute; the filterbank stays in float32, where its logarithms live."""
    model.preprocessor.to(device)
    for part in (model.encoder, model.decoder, model.joint):
        part.to(device=device, dtype=dtype)
    logger.info("checkpoint on {}, {}", device, str(dtype).removeprefix("torch."))


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else "no reason given"
