"""Features of audio that is still arriving: the same frames as from the whole of it."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch

from agent.audio.chunk import Int16Array


@dataclass
class Arriving:
    """Audio of one stream that features still need.

    Attributes:
        pcm: Shape (n,), int16, 16 kHz.
        start: Position of ``pcm[0]`` in the stream: whole hops.
        frames: Features made so far.
        is_complete: Whether nothing follows.
    """

    pcm: Int16Array = field(default_factory=lambda: np.zeros(0, np.int16))
    start: int = 0
    frames: int = 0
    is_complete: bool = False

    def push(self, pcm: Int16Array, is_last: bool) -> None:
        """Append what came."""
        self.pcm = np.concatenate([self.pcm, pcm])
        self.is_complete = is_last

    @property
    def end(self) -> int:
        """Samples of the stream so far."""
        return self.start + len(self.pcm)


class StreamingFeatures:
    """The model's own filterbank, over a window that moves along."""

    def __init__(self, model: Any, device: torch.device) -> None:
        """Use the model's preprocessor, which must not normalise over the utterance."""
        self._preprocessor = model.preprocessor
        self._device = device
        self._hop: int = model.preprocessor.featurizer.hop_length
        # A frame is centred on its hop and sees half a window to both sides.
        self._reach: int = model.preprocessor.featurizer.win_length // 2
        # Emphasis looks one sample further back, and a frame is computed from whole hops.
        self._back = -(-(self._reach + 1) // self._hop)

    def advance(self, streams: Sequence[Arriving]) -> list[torch.Tensor]:
        """Make the frames that can be made now, for all streams in one call.

        Returns:
            For each stream shape (features, new frames), float32, on the device.
        """
        ends = [self._ready(stream) for stream in streams]
        longest = max(len(stream.pcm) for stream in streams)
        signals = np.zeros((len(streams), max(1, longest)), np.float32)
        for row, stream in zip(signals, streams, strict=True):
            row[: len(stream.pcm)] = stream.pcm / np.float32(32768)
        features, _ = self._preprocessor(
            input_signal=torch.from_numpy(signals).to(self._device),
            length=torch.tensor([len(stream.pcm) for stream in streams], device=self._device),
        )
        made = []
        for row, stream, end in zip(features, streams, ends, strict=True):
            first = stream.start // self._hop
            made.append(row[:, stream.frames - first : end - first])
            stream.frames = end
            keep = max(0, end - self._back) * self._hop
            stream.pcm = stream.pcm[keep - stream.start :]
            stream.start = keep
        return made

    def _ready(self, stream: Arriving) -> int:
        """Frames of the stream whose whole window has arrived; at its end all there are."""
        if stream.is_complete:
            return max(stream.frames, stream.end // self._hop)
        return max(stream.frames, (stream.end - self._reach) // self._hop + 1)
