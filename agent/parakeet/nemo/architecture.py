"""FastConformer transducers as NeMo configurations, to build without a checkpoint.

The benchmark measures an architecture with random weights where the real ones cannot be had, and
the tests train a tiny one. Every key is one of `nemo.collections.asr`; only sizes and the streaming
layout are ours to choose.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SAMPLE_RATE = 16_000

TDT_DURATIONS = (0, 1, 2, 3, 4)
"""Frames a TDT model may jump at once; as in nvidia/parakeet-tdt-0.6b-v2."""


@dataclass(frozen=True, slots=True)
class Architecture:
    """Sizes of a FastConformer transducer.

    Attributes:
        layers: Conformer blocks.
        width: Encoder features, ``d_model``.
        heads: Attention heads; divides `width`.
        mels: Filterbank channels.
        channels: Of the convolutions that make one encoder frame of eight feature frames.
        hidden: Prediction network and joint.
        prediction_layers: LSTM layers of the prediction network.
        lookaheads: Frames of right context a streaming model was trained for, the default first;
            empty for a model that sees the whole utterance.
        left_frames: Left context of a streaming model.
        durations: Of a TDT model; empty for RNNT.
        bias: Whether linear layers and convolutions have one.
    """

    layers: int
    width: int
    heads: int
    mels: int
    channels: int
    hidden: int
    prediction_layers: int = 1
    lookaheads: tuple[int, ...] = ()
    left_frames: int = 70
    durations: tuple[int, ...] = TDT_DURATIONS
    bias: bool = True

    @property
    def is_streaming(self) -> bool:
        """Whether the encoder is causal and keeps a cache between chunks."""
        return bool(self.lookaheads)


PARAKEET_TDT_06B = Architecture(
    layers=24,
    width=1024,
    heads=8,
    mels=128,
    channels=256,
    hidden=640,
    prediction_layers=2,
    bias=False,
)
"""Sizes of nvidia/parakeet-tdt-0.6b-v2, as NeMo's FastConformer-TDT XL configuration has them."""


def configuration(architecture: Architecture, tokenizer: Path) -> dict[str, Any]:
    """Describe a model for ``EncDecRNNTBPEModel(cfg=OmegaConf.create(...))``.

    Args:
        architecture: The sizes.
        tokenizer: Folder with ``tokenizer.model``, ``tokenizer.vocab`` and ``vocab.txt``.
    """
    durations = list(architecture.durations)
    return {
        "sample_rate": SAMPLE_RATE,
        "compute_eval_loss": False,
        "log_prediction": False,
        "skip_nan_grad": False,
        "model_defaults": {
            "enc_hidden": architecture.width,
            "pred_hidden": architecture.hidden,
            "joint_hidden": architecture.hidden,
            "tdt_durations": durations,
            "num_tdt_durations": len(durations),
        },
        "train_ds": None,
        "validation_ds": None,
        "test_ds": None,
        "tokenizer": {"dir": str(tokenizer), "type": "bpe"},
        "preprocessor": _preprocessor(architecture),
        "spec_augment": {
            "_target_": "nemo.collections.asr.modules.SpectrogramAugmentation",
            "freq_masks": 0,
            "time_masks": 0,
        },
        "encoder": _encoder(architecture),
        "decoder": {
            "_target_": "nemo.collections.asr.modules.RNNTDecoder",
            "normalization_mode": None,
            "random_state_sampling": False,
            "blank_as_pad": True,
            "prednet": {
                "pred_hidden": architecture.hidden,
                "pred_rnn_layers": architecture.prediction_layers,
                "t_max": None,
                "dropout": 0.0,
            },
        },
        "joint": {
            "_target_": "nemo.collections.asr.modules.RNNTJoint",
            "log_softmax": None,
            "preserve_memory": False,
            "fuse_loss_wer": False,
            "fused_batch_size": -1,
            "jointnet": {
                "joint_hidden": architecture.hidden,
                "activation": "relu",
                "dropout": 0.0,
            },
            "num_extra_outputs": len(durations),
        },
        "decoding": _decoding(durations),
        "loss": _loss(durations),
        "optim": {"name": "adamw", "lr": 1e-3},
    }


def _preprocessor(architecture: Architecture) -> dict[str, Any]:
    return {
        "_target_": "nemo.collections.asr.modules.AudioToMelSpectrogramPreprocessor",
        "sample_rate": SAMPLE_RATE,
        # Statistics of the whole utterance are not known while it is spoken.
        "normalize": "NA" if architecture.is_streaming else "per_feature",
        "window_size": 0.025,
        "window_stride": 0.01,
        "window": "hann",
        "features": architecture.mels,
        "n_fft": 512,
        "log": True,
        "frame_splicing": 1,
        "dither": 1e-5,
        "pad_to": 0,
        "pad_value": 0.0,
    }


def _encoder(architecture: Architecture) -> dict[str, Any]:
    streaming = architecture.is_streaming
    context: Sequence[Any] = (
        [[architecture.left_frames, right] for right in architecture.lookaheads]
        if streaming
        else [-1, -1]
    )
    return {
        "_target_": "nemo.collections.asr.modules.ConformerEncoder",
        "feat_in": architecture.mels,
        "feat_out": -1,
        "n_layers": architecture.layers,
        "d_model": architecture.width,
        "use_bias": architecture.bias,
        "subsampling": "dw_striding",
        "subsampling_factor": 8,
        "subsampling_conv_channels": architecture.channels,
        "causal_downsampling": streaming,
        "ff_expansion_factor": 4,
        "self_attention_model": "rel_pos",
        "n_heads": architecture.heads,
        "att_context_size": context,
        "att_context_style": "chunked_limited" if streaming else "regular",
        "xscaling": False,
        "untie_biases": True,
        "pos_emb_max_len": 5000,
        "conv_kernel_size": 9,
        "conv_norm_type": "layer_norm" if streaming else "batch_norm",
        "conv_context_size": "causal" if streaming else None,
        "dropout": 0.0,
        "dropout_pre_encoder": 0.0,
        "dropout_emb": 0.0,
        "dropout_att": 0.0,
    }


def _decoding(durations: list[int]) -> dict[str, Any]:
    greedy = {"strategy": "greedy_batch", "greedy": {"max_symbols": 10}}
    return {**greedy, "model_type": "tdt", "durations": durations} if durations else greedy


def _loss(durations: list[int]) -> dict[str, Any]:
    if not durations:
        return {"loss_name": "default"}
    return {
        "loss_name": "tdt",
        "tdt_kwargs": {
            "fastemit_lambda": 0.0,
            "clamp": -1.0,
            "durations": durations,
            "sigma": 0.02,
            "omega": 0.1,
        },
    }
