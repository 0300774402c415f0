"""Whole utterances in one pass: features, encoder, tokens, words."""

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch

from agent.audio.chunk import SAMPLE_RATE
from agent.parakeet.engine import Batch, Transcript, Utterance
from agent.parakeet.nemo.decoding import GreedyDecoder
from agent.parakeet.nemo.device import guarded, synchronise
from agent.parakeet.nemo.words import Tokens, Vocabulary, mean_confidence, text_of

SHORTEST = SAMPLE_RATE // 5
"""Shorter audio is filled up with silence: statistics over one feature frame are no numbers."""


class UtteranceModel:
    """Runs batches of whole utterances."""

    def __init__(
        self, model: Any, vocabulary: Vocabulary, decoder: GreedyDecoder, tail: int = 0
    ) -> None:
        """Use `model`, whose encoder is on its device; nothing here changes it.

        Args:
            model: As `checkpoint.prepare` leaves it.
            vocabulary: Of its tokens.
            decoder: Its token loop.
            tail: Samples of silence to put behind each utterance, for a streaming model.
        """
        self._tail = tail
        self._model = model
        self._vocabulary = vocabulary
        self._decoder = decoder
        parameter = next(model.encoder.parameters())
        self._device, self._dtype = parameter.device, parameter.dtype

    def encode(
        self, utterances: Sequence[Utterance]
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        """Run preprocessor and encoder.

        Returns:
            Shape (batch, features, frames), the frames that count, shape (batch,), and the seconds
            that ``mel`` and ``encode`` took.

        Raises:
            OutOfMemoryError: No room.
            DeviceLostError: The device is broken.
        """
        return guarded(self._device, lambda: self._encode(utterances))

    def _encode(
        self, utterances: Sequence[Utterance]
    ) -> tuple[torch.Tensor, torch.Tensor, dict[str, float]]:
        began_s = time.monotonic()
        counts = [max(SHORTEST, len(utterance.pcm) + self._tail) for utterance in utterances]
        signals = np.zeros((len(utterances), max(counts)), np.float32)
        for row, utterance in zip(signals, utterances, strict=True):
            row[: len(utterance.pcm)] = utterance.pcm / np.float32(32768)
        with torch.inference_mode():
            features, frames = self._model.preprocessor(
                input_signal=torch.from_numpy(signals).to(self._device),
                length=torch.tensor(counts, device=self._device),
            )
            synchronise(self._device)
            heard_s = time.monotonic()
            encoded, lengths = self._model.encoder(
                audio_signal=features.to(self._dtype), length=frames
            )
            synchronise(self._device)
        return (
            encoded,
            lengths,
            {"mel": heard_s - began_s, "encode": time.monotonic() - heard_s},
        )

    def transcribe(self, utterances: Sequence[Utterance]) -> Batch:
        """Recognise a batch.

        Raises:
            OutOfMemoryError: No room.
            DeviceLostError: The device is broken.
        """
        encoded, lengths, stages_s = self.encode(utterances)
        began_s = time.monotonic()
        hints = [utterance.options.hints for utterance in utterances]
        decoded = self._decoder.decode(encoded, lengths, hints=hints)
        results = [
            self.transcript(found.tokens, utterance)
            for found, utterance in zip(decoded, utterances, strict=True)
        ]
        return Batch(results, {**stages_s, "decode": time.monotonic() - began_s})

    def transcript(self, tokens: Tokens, utterance: Utterance) -> Transcript:
        """What the tokens of one utterance say."""
        words = self._vocabulary.words(tokens, len(utterance.pcm))
        return Transcript(
            text_of(words),
            words if utterance.options.words else (),
            mean_confidence(words),
        )
