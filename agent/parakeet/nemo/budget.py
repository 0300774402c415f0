"""How much audio fits into one pass. Pure."""

import math
from dataclasses import dataclass

FRAMES_PER_S = 12.5
"""Encoder frames after eightfold subsampling of 10 ms features."""


@dataclass(frozen=True, slots=True)
class EncoderShape:
    """What an encoder's memory depends on.

    Attributes:
        width: ``d_model``.
        heads: Attention heads.
        mels: Filterbank channels.
        channels: Of the subsampling convolutions.
        value_bytes: Bytes of one activation.
        is_local: Whether attention sees a window instead of everything.
    """

    width: int
    heads: int
    mels: int
    channels: int
    value_bytes: int = 4
    is_local: bool = False


@dataclass(frozen=True, slots=True)
class Budget:
    """Limits of one pass, as `agent.parakeet.engine.Facts` carries them."""

    max_batch_s: float
    max_batch_s2: float
    max_utterance_s: float


def bytes_per_s(shape: EncoderShape) -> float:
    """Peak of what grows with the audio: the first convolutions, and one block's activations.

    Counted from the operations of NeMo's ConformerEncoder: four copies of the first convolution's
    output live at once (half the frames, half the bands), and in a block the feed-forward layer's
    four-fold width twice beside the residual and the attention's projections.
    """
    features = 100 * shape.mels * 4 * 3
    convolution = 50 * shape.mels / 2 * shape.channels * shape.value_bytes * 4
    block = FRAMES_PER_S * shape.width * shape.value_bytes * 14
    return features + max(convolution, block)


def bytes_per_s2(shape: EncoderShape) -> float:
    """Peak of what grows with the square: the scores of one layer, in five copies, and the masks.

    Content scores, position scores before and after their shift, the sum, and its softmax.
    """
    if shape.is_local:
        return 0.0
    pairs = FRAMES_PER_S**2
    return pairs * (shape.heads * shape.value_bytes * 5 + 4)


def budget(shape: EncoderShape, memory_bytes: int, max_utterance_s: float) -> Budget:
    """Share `memory_bytes` between the two kinds of growth.

    Args:
        shape: The encoder's sizes.
        memory_bytes: What one pass may take beside the weights.
        max_utterance_s: The longest utterance wanted.
    """
    half = memory_bytes / 2
    linear_s = half / bytes_per_s(shape)
    squared = bytes_per_s2(shape)
    squared_s2 = half / squared if squared else math.inf
    longest_s = min(max_utterance_s, linear_s, math.sqrt(squared_s2))
    return Budget(linear_s, squared_s2, longest_s)
