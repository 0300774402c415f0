"""What lives in a worker's owner thread: the interface of every engine.

NeMo, Triton and the fake implement `Engine`. One thread constructs the engine, calls it and closes
it; no call overlaps another, so an engine needs no locks and may hold thread-bound device state.
Everything that crosses this interface is plain Python and numpy: a tensor that leaves it would be
freed by another thread, which crashes CUDA.

A worker finds an engine by the name ``package.module:factory``; see `Factory`.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol

from agent.asr.hypothesis import Word as Word
from agent.audio.chunk import Int16Array
from agent.errors import DuplexError


class OutOfMemoryError(DuplexError):
    """The batch does not fit: raised by `Engine.transcribe`, before any of its items is done.

    The engine has already dropped its references and given cached memory back. The worker splits
    the batch and calls again; a single item that does not fit becomes a `FailureKind.TOO_LONG`.
    """


class DeviceLostError(DuplexError):
    """The device context is broken and no later call can succeed (an illegal memory access).

    The worker process reports what it held as retryable, exits and is replaced.
    """


class NoSlotError(DuplexError):
    """All streaming slots are taken."""


class FailureKind(StrEnum):
    """Why one item failed; others of its batch are not affected."""

    TOO_LONG = "too_long"
    """Longer than the device can hold, even alone. The caller splits the audio."""
    BAD_INPUT = "bad_input"
    """The engine refuses this audio or these options (an unknown language); do not try again."""
    INTERNAL = "internal"
    """Unexpected; the same audio may succeed if tried again."""


@dataclass(frozen=True, slots=True)
class Options:
    """What a caller asks of one utterance or one stream.

    Attributes:
        language: ISO 639-1 code such as ``en``; None lets the model choose.
        hints: Names and products to expect; an engine without biasing ignores them.
        words: Whether `Transcript.words` is wanted; without it an engine may leave it empty.
    """

    language: str | None = None
    hints: tuple[str, ...] = ()
    words: bool = True


@dataclass(frozen=True, slots=True)
class Utterance:
    """One stretch of speech to recognise.

    Attributes:
        pcm: Shape (n,), n >= 1, int16, 16 kHz mono. Not writable.
        options: What is wanted.
    """

    pcm: Int16Array
    options: Options = Options()


@dataclass(frozen=True, slots=True)
class Transcript:
    """The text of one utterance.

    Attributes:
        text: As a reader expects it; empty where nothing was said; without ``<EOU>``, ``<EOB>``.
        words: Words with times in samples (16 kHz) from the utterance's first sample, in order.
        confidence: Probability in [0, 1] that the text is right, or None where unknown.
        language: ISO 639-1 code of what was recognised, or None where unknown.
    """

    text: str
    words: tuple[Word, ...] = ()
    confidence: float | None = None
    language: str | None = None


@dataclass(frozen=True, slots=True)
class Failure:
    """One item failed.

    Attributes:
        kind: What the caller can do about it.
        message: For the log and the caller; holds nothing of what was said.
    """

    kind: FailureKind
    message: str


@dataclass(frozen=True, slots=True)
class Batch:
    """What became of one call of `Engine.transcribe`.

    Attributes:
        results: One for each utterance, in order.
        stages_s: Seconds spent by stage: ``mel``, ``encode``, ``decode``; for metrics only.
    """

    results: Sequence[Transcript | Failure]
    stages_s: Mapping[str, float] = field(default_factory=dict)


class EndpointKind(StrEnum):
    """What a streaming model said about the turn, in place of text."""

    EOU = "eou"
    """End of utterance: the model's ``<EOU>`` token."""
    EOB = "eob"
    """End of a backchannel: the model's ``<EOB>`` token."""


@dataclass(frozen=True, slots=True)
class ModelEndpoint:
    """An ``<EOU>`` or ``<EOB>`` token.

    Attributes:
        kind: Which.
        sample: Where in the stream, in samples (16 kHz) from its first sample.
    """

    kind: EndpointKind
    sample: int


@dataclass(frozen=True, slots=True)
class Push:
    """Audio for one stream.

    Attributes:
        stream: A number given to `Engine.open`.
        pcm: Shape (n,), int16, 16 kHz mono, following on what was pushed before. Any length; the
            engine keeps what does not fill a model step. Empty only where `is_last`.
        is_last: Nothing follows: flush, answer with the final, free the slot.
    """

    stream: int
    pcm: Int16Array
    is_last: bool = False


@dataclass(frozen=True, slots=True)
class Update:
    """A stream's text so far.

    Attributes:
        transcript: All of the stream's text from its first sample on.
        through_sample: Samples from the stream's first one that the text takes into account.
        is_final: True exactly once, in answer to the push with `Push.is_last`.
        endpoints: Tokens seen since the last update.
    """

    transcript: Transcript
    through_sample: int
    is_final: bool = False
    endpoints: tuple[ModelEndpoint, ...] = ()


@dataclass(frozen=True, slots=True)
class Facts:
    """What a loaded engine can do; the front batches and admits by it.

    Attributes:
        engine: ``nemo``, ``triton``, ``fake``.
        model: Checkpoint name as callers may ask for it, such as ``parakeet-tdt-0.6b-v2``.
        device: As PyTorch names it: ``cuda:0``, ``cpu``, ``npu:0``.
        max_batch: Most utterances in one `Engine.transcribe`; 0: streams only.
        max_batch_s: Most padded seconds in one call: items times the longest.
        max_batch_s2: Most attention memory in one call, items times the longest squared, in s².
            Derived from free device memory; infinite where attention is local.
        max_utterance_s: Longest single utterance; longer audio is cut into segments by the front.
        slots: Streams open at once; 0: no streaming.
        chunk_samples: Samples of one streaming step, or 0.
        languages: ISO 639-1 codes the model knows.
        hints: Whether `Options.hints` has an effect.
    """

    engine: str
    model: str
    device: str
    max_batch: int = 32
    max_batch_s: float = 600.0
    max_batch_s2: float = 30_000.0
    max_utterance_s: float = 60.0
    slots: int = 0
    chunk_samples: int = 0
    languages: tuple[str, ...] = ("en",)
    hints: bool = False


class Engine(Protocol):
    """A recogniser on one device. Every method blocks, on the worker's owner thread."""

    def load(self) -> Facts:
        """Load and warm the model; takes seconds to minutes. Called once, first.

        Raises:
            SettingsError: A setting, a path or the device is wrong; the message names the fix.
        """
        ...

    def transcribe(self, utterances: Sequence[Utterance]) -> Batch:
        """Recognise utterances in one pass; no result may depend on the others in the batch.

        Args:
            utterances: 1 to `Facts.max_batch` items, similar in length, within both budgets.

        Raises:
            OutOfMemoryError: Too much at once; none of the items was answered.
            DeviceLostError: The process must be replaced.
        """
        ...

    def open(self, stream: int, options: Options) -> None:
        """Take a slot for a new stream.

        Raises:
            NoSlotError: `Facts.slots` streams are open.
        """
        ...

    def push(self, pushes: Sequence[Push]) -> list[Update | Failure | None]:
        """Advance many streams in one pass; at most one push for each stream.

        Returns:
            One answer for each push, in order: None where its audio filled no model step or changed
            nothing. A failed stream has lost its slot; the front may open it again and replay.

        Raises:
            DeviceLostError: The process must be replaced.
        """
        ...

    def abort(self, stream: int) -> None:
        """Free a stream's slot without an answer. An unknown stream is no error."""
        ...

    def close(self) -> None:
        """Free the device. Called once, last."""
        ...


class Factory(Protocol):
    """Makes an engine: ``open_engine`` in ``agent.parakeet.nemo``, ``.triton`` and ``.fake``."""

    def __call__(self, config: Mapping[str, Any]) -> Engine:
        """Make the engine without loading it: quick, on the owner thread.

        Args:
            config: JSON object from the command line: ``device``, ``model``, and what the engine
                adds. Unknown keys are refused.

        Raises:
            SettingsError: An unknown key or a wrong value.
        """
        ...
