"""Cache-aware streaming: many streams, one pass for each model step, a slot for each stream."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import numpy as np
import torch

from agent.audio.chunk import SAMPLE_RATE
from agent.errors import SettingsError
from agent.parakeet.engine import (
    Failure,
    FailureKind,
    ModelEndpoint,
    NoSlotError,
    Options,
    OutOfMemoryError,
    Push,
    Transcript,
    Update,
)
from agent.parakeet.nemo.decoding import GreedyDecoder
from agent.parakeet.nemo.device import guarded
from agent.parakeet.nemo.features import Arriving, StreamingFeatures
from agent.parakeet.nemo.words import Tokens, Vocabulary, mean_confidence, text_of

FLUSH = SAMPLE_RATE // 4
"""Silence put behind the last sample: a streaming model names a word only after it has ended."""


@dataclass
class _Stream:
    """One open stream."""

    options: Options
    audio: Arriving = field(default_factory=Arriving)
    length: int = 0
    """Samples that were really spoken."""
    features: torch.Tensor | None = None
    """Shape (features, frames): `past` frames that the convolutions see again, then new ones."""
    past: int = 0
    caches: tuple[torch.Tensor, torch.Tensor, torch.Tensor] | None = None
    """Of attention, of the convolutions, and how full the first is; batch dimension of one."""
    state: Any = None
    tokens: Tokens = field(default_factory=Tokens)
    endpoints: list[ModelEndpoint] = field(default_factory=list)
    encoded: int = 0
    told: int = 0

    @property
    def waiting(self) -> int:
        """Feature frames not yet encoded."""
        return 0 if self.features is None else self.features.shape[1] - self.past


class StreamModel:
    """Advances streams through a cache-aware encoder.

    Streams that are in their first chunk and those beyond it take different inputs, so a step is at
    most two passes; within a pass every stream sees its own cache only.
    """

    def __init__(
        self, model: Any, vocabulary: Vocabulary, decoder: GreedyDecoder, slots: int
    ) -> None:
        """Use `model`, set to the wanted lookahead by `set_lookahead`."""
        self._model = model
        self._encoder = model.encoder
        self._vocabulary = vocabulary
        self._decoder = decoder
        self._slots = slots
        parameter = next(model.encoder.parameters())
        self._device, self._dtype = parameter.device, parameter.dtype
        self._mel = StreamingFeatures(model, self._device)
        streaming = model.encoder.streaming_cfg
        self._first_frames, self._frames = _pair(streaming.chunk_size)
        _, self._past = _pair(streaming.pre_encode_cache_size)
        self._drop: int = streaming.drop_extra_pre_encoded
        self._streams: dict[int, _Stream] = {}

    @property
    def chunk_samples(self) -> int:
        """Samples of one step after the first."""
        hop: int = self._model.preprocessor.featurizer.hop_length
        return self._frames * hop

    def open(self, stream: int, options: Options) -> None:
        """Take a slot.

        Raises:
            NoSlotError: All are taken.
        """
        if stream not in self._streams and len(self._streams) >= self._slots:
            raise NoSlotError(f"all {self._slots} streams are taken; try again or elsewhere")
        self._streams[stream] = _Stream(options)

    def abort(self, stream: int) -> None:
        """Free a slot."""
        self._streams.pop(stream, None)

    def push(self, pushes: Sequence[Push]) -> list[Update | Failure | None]:
        """Advance streams by what came for them; see `agent.parakeet.engine.Engine.push`."""
        found = [self._streams.get(push.stream) for push in pushes]
        active = [stream for stream in found if stream is not None]
        for push, stream in zip(pushes, found, strict=True):
            if stream is not None:
                _take(stream, push)
        try:
            if active:
                with torch.inference_mode():
                    self._advance(active)
        except OutOfMemoryError as error:
            for push in pushes:
                self.abort(push.stream)
            return [Failure(FailureKind.INTERNAL, str(error)) for _ in pushes]
        return [
            Failure(FailureKind.INTERNAL, "no such stream")
            if stream is None
            else self._answer(push, stream)
            for push, stream in zip(pushes, found, strict=True)
        ]

    def _advance(self, streams: Sequence[_Stream]) -> None:
        made = guarded(self._device, lambda: self._mel.advance([item.audio for item in streams]))
        for stream, features in zip(streams, made, strict=True):
            stream.features = (
                features
                if stream.features is None
                else torch.cat([stream.features, features], dim=1)
            )
        while True:
            ready = [stream for stream in streams if self._is_ready(stream)]
            if not ready:
                return
            first = [stream for stream in ready if stream.caches is None]
            later = [stream for stream in ready if stream.caches is not None]
            for group in filter(None, (first, later)):
                guarded(self._device, partial(self._step, group))

    def _is_ready(self, stream: _Stream) -> bool:
        wanted = self._first_frames if stream.caches is None else self._frames
        return stream.waiting >= wanted or (stream.audio.is_complete and stream.waiting > 0)

    def _step(self, group: Sequence[_Stream]) -> None:
        """Encode and decode one chunk of every stream; all are first chunks, or none is."""
        starting = group[0].caches is None
        chunk = self._first_frames if starting else self._frames
        past = 0 if starting else self._past
        taken = [min(stream.waiting, chunk) for stream in group]
        rows = [
            self._window(stream, past, count) for stream, count in zip(group, taken, strict=True)
        ]
        width = past + chunk
        signal = torch.stack(
            [torch.nn.functional.pad(row, (0, width - row.shape[1])) for row in rows]
        ).to(self._dtype)
        lengths = torch.tensor([past + count for count in taken], device=self._device)
        channel, time, filled = self._caches(group)
        encoded, frames, channel, time, filled = self._encoder.cache_aware_stream_step(
            processed_signal=signal,
            processed_signal_length=lengths,
            cache_last_channel=channel,
            cache_last_time=time,
            cache_last_channel_len=filled,
            # Of a last chunk that is not full, too, everything counts.
            keep_all_outputs=all(stream.audio.is_complete for stream in group),
            drop_extra_pre_encoded=0 if starting else self._drop,
        )
        states = None if starting else [stream.state for stream in group]
        hints = [stream.options.hints for stream in group]
        decoded = self._decoder.decode(encoded, frames, states, hints)
        for place, (stream, found) in enumerate(zip(group, decoded, strict=True)):
            one = slice(place, place + 1)
            stream.caches = (channel[:, one], time[:, one], filled[one])
            stream.state = found.state
            stream.tokens.extend(found.tokens)
            stream.endpoints += self._vocabulary.endpoints(found.tokens)
            self._consume(stream, taken[place])

    def _window(self, stream: _Stream, past: int, count: int) -> torch.Tensor:
        """The next frames to encode, after those the convolutions see again."""
        assert stream.features is not None
        start = stream.past - past
        row = stream.features[:, max(0, start) : stream.past + count]
        # A first chunk shorter than the convolutions' reach: nothing was before it.
        return torch.nn.functional.pad(row, (max(0, -start), 0))

    def _caches(self, group: Sequence[_Stream]) -> tuple[torch.Tensor, ...]:
        if group[0].caches is None:
            fresh: tuple[torch.Tensor, ...] = self._encoder.get_initial_cache_state(
                batch_size=len(group), dtype=self._dtype, device=self._device
            )
            return fresh
        kept = [stream.caches for stream in group if stream.caches is not None]
        channel, time, filled = zip(*kept, strict=True)
        return torch.cat(channel, dim=1), torch.cat(time, dim=1), torch.cat(filled)

    def _consume(self, stream: _Stream, count: int) -> None:
        assert stream.features is not None
        stream.encoded += count
        end = stream.past + count
        keep = max(0, end - self._past)
        stream.features = stream.features[:, keep:]
        stream.past = end - keep

    def _answer(self, push: Push, stream: _Stream) -> Update | None:
        endpoints, stream.endpoints = tuple(stream.endpoints), []
        if push.is_last:
            self.abort(push.stream)
        elif len(stream.tokens.ids) == stream.told:
            return None
        stream.told = len(stream.tokens.ids)
        words = self._vocabulary.words(stream.tokens, stream.length)
        transcript = Transcript(
            text_of(words), words if stream.options.words else (), mean_confidence(words)
        )
        hop: int = self._model.preprocessor.featurizer.hop_length
        through = stream.length if push.is_last else min(stream.length, stream.encoded * hop)
        within = tuple(
            ModelEndpoint(endpoint.kind, min(endpoint.sample, stream.length))
            for endpoint in endpoints
        )
        return Update(transcript, through, push.is_last, within)


def _take(stream: _Stream, push: Push) -> None:
    stream.length += len(push.pcm)
    silence = np.zeros(FLUSH if push.is_last else 0, np.int16)
    stream.audio.push(np.concatenate([push.pcm, silence]), push.is_last)


def set_lookahead(model: Any, frames: int) -> bool:
    """Make a cache-aware model ready to stream.

    Args:
        model: Any transducer.
        frames: Right context in encoder frames; -1 for the checkpoint's default.

    Returns:
        False where the model sees whole utterances only.

    Raises:
        SettingsError: The model was not trained for so much context.
    """
    encoder = model.encoder
    is_causal = getattr(encoder, "att_context_style", "regular") == "chunked_limited"
    # Statistics over an utterance are not known while it is spoken.
    if not is_causal or str(model.cfg.preprocessor.get("normalize")) != "NA":
        return False
    known = [list(size) for size in encoder.att_context_size_all]
    if frames >= 0:
        matching = [size for size in known if size[1] == frames]
        if not matching:
            raise SettingsError(
                f"lookahead {frames}: this checkpoint knows {sorted(size[1] for size in known)}"
            )
        encoder.set_default_att_context_size(matching[0])
    else:
        encoder.setup_streaming_params()
    return True


def _pair(value: int | Sequence[int]) -> tuple[int, int]:
    """First and later steps."""
    if isinstance(value, int):
        return value, value
    first, later = value
    return first, later
