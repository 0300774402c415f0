"""The NeMo engine: one checkpoint on one device, on the worker's owner thread."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from loguru import logger

from agent.audio.chunk import SAMPLE_RATE
from agent.parakeet.engine import (
    Batch,
    Facts,
    Failure,
    FailureKind,
    NoSlotError,
    Options,
    Push,
    Update,
    Utterance,
)
from agent.parakeet.nemo import checkpoint
from agent.parakeet.nemo.budget import budget
from agent.parakeet.nemo.decoding import CPU, GreedyDecoder
from agent.parakeet.nemo.device import free_bytes, release, resolve
from agent.parakeet.nemo.settings import NemoSettings
from agent.parakeet.nemo.streams import FLUSH, StreamModel, set_lookahead
from agent.parakeet.nemo.utterances import UtteranceModel

_WARM_UP_S = (0.5, 4.0)
"""Kernels are chosen and memory pools grow at the first call of a size."""


class NemoEngine:
    """See `agent.parakeet.engine.Engine`; `load` comes first."""

    def __init__(self, settings: NemoSettings) -> None:
        """Remember the settings; nothing is loaded."""
        self._settings = settings

    def load(self) -> Facts:
        """Load, place and warm the model.

        Raises:
            SettingsError: The device, the checkpoint or the lookahead cannot be had.
        """
        settings = self._settings
        if settings.threads:
            torch.set_num_threads(settings.threads)
        self._device = resolve(settings.device)
        model = checkpoint.load(settings.model)
        dtype: torch.dtype = getattr(torch, settings.dtype)
        checkpoint.place(model, self._device, dtype)
        self._model = model
        self._decoder = GreedyDecoder(model, self._decoder_device(), settings.hint_weight)
        vocabulary = checkpoint.vocabulary(model)
        is_streaming = set_lookahead(model, settings.lookahead)
        tail = FLUSH if is_streaming else 0
        self._utterances = UtteranceModel(model, vocabulary, self._decoder, tail)
        self._streams = (
            StreamModel(model, vocabulary, self._decoder, settings.slots)
            if is_streaming and settings.slots
            else None
        )
        self._warm_up()
        self._facts = self._measured()
        return self._facts

    def transcribe(self, utterances: Sequence[Utterance]) -> Batch:
        """Recognise a batch."""
        refused = [self._refusal(utterance.options) for utterance in utterances]
        accepted = [
            utterance
            for utterance, failure in zip(utterances, refused, strict=True)
            if failure is None
        ]
        batch = self._utterances.transcribe(accepted) if accepted else Batch([])
        answers = iter(batch.results)
        return replace(
            batch,
            results=[next(answers) if failure is None else failure for failure in refused],
        )

    def open(self, stream: int, options: Options) -> None:
        """Take a slot."""
        if self._streams is None:
            raise NoSlotError(f"{self._facts.model} sees whole utterances; it has no streams")
        self._streams.open(stream, options)

    def push(self, pushes: Sequence[Push]) -> list[Update | Failure | None]:
        """Advance streams."""
        if self._streams is None:
            return [Failure(FailureKind.BAD_INPUT, "this model has no streams") for _ in pushes]
        return self._streams.push(pushes)

    def abort(self, stream: int) -> None:
        """Free a slot."""
        if self._streams is not None:
            self._streams.abort(stream)

    def close(self) -> None:
        """Free the device."""
        del self._model, self._decoder, self._utterances, self._streams
        release(self._device)

    def _decoder_device(self) -> torch.device:
        wanted = self._settings.decoder_device
        if wanted != "auto":
            return resolve(wanted)
        if self._device.type == "npu":
            logger.info("token loop on the CPU: on {} every step waits for a kernel", self._device)
            return CPU
        return self._device

    def _refusal(self, options: Options) -> Failure | None:
        known = self._facts.languages
        if options.language is None or options.language in known:
            return None
        return Failure(
            FailureKind.BAD_INPUT, f"no language {options.language!r}; it knows {', '.join(known)}"
        )

    def _warm_up(self) -> None:
        noise = np.random.default_rng(0)
        for length_s in _WARM_UP_S:
            pcm = noise.normal(0, 300, round(length_s * SAMPLE_RATE)).astype(np.int16)
            encoded, lengths, _ = self._utterances.encode([Utterance(pcm)])
            self._decoder.settle(encoded, lengths)
            if self._streams is not None:
                self._streams.open(0, Options())
                self._streams.push([Push(0, pcm, is_last=True)])

    def _measured(self) -> Facts:
        settings = self._settings
        memory = settings.memory_mb * 1_000_000 or free_bytes(self._device) // 2
        value_bytes = torch.empty(0, dtype=getattr(torch, settings.dtype)).element_size()
        limits = budget(
            checkpoint.shape(self._model, value_bytes), memory, settings.max_utterance_s
        )
        return Facts(
            engine="nemo",
            model=checkpoint.short_name(settings.model),
            device=str(self._device),
            max_batch=settings.max_batch,
            max_batch_s=limits.max_batch_s,
            max_batch_s2=limits.max_batch_s2,
            max_utterance_s=limits.max_utterance_s,
            slots=settings.slots if self._streams is not None else 0,
            chunk_samples=self._streams.chunk_samples if self._streams is not None else 0,
            languages=checkpoint.languages(settings.model, settings.languages),
            hints=settings.hint_weight > 0,
        )
