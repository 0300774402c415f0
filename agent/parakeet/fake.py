"""An engine without a model: the text tells exactly which samples were heard, in which order.

For tests and for measuring the front. Every quarter of a second that is not silent becomes a word
made from the checksum of all audio up to there: one sample lost, doubled or changed changes every
word that follows. It sleeps as long as a device would compute.
"""

import time
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any

import numpy as np

from agent.asr.hypothesis import Word
from agent.audio.chunk import SAMPLE_RATE, Int16Array, seconds
from agent.errors import SettingsError
from agent.parakeet.engine import (
    Batch,
    DeviceLostError,
    EndpointKind,
    Facts,
    Failure,
    FailureKind,
    ModelEndpoint,
    NoSlotError,
    Options,
    OutOfMemoryError,
    Push,
    Transcript,
    Update,
    Utterance,
)

BLOCK = SAMPLE_RATE // 4
"""Samples that make one word."""

SILENT = 100
"""A block whose peak stays below this says nothing, as a recogniser says nothing on silence."""

EOU_BLOCKS = 2
"""Silent blocks after a word that make an ``<EOU>``."""

_SYLLABLES = ("ba", "ce", "di", "fo", "gu", "ha", "ke", "li", "mo", "nu", "pa", "re", "si", "to")


@dataclass(frozen=True, slots=True)
class FakeSettings:
    """What the device costs and where it fails.

    Attributes:
        fixed_s: Of one batch, whatever is in it.
        per_second_s: Added for each padded second of a batch.
        step_s: Of one step of all streams.
        load_s: Of loading.
        max_batch: As `Facts.max_batch`; 0 for streams only.
        slots: As `Facts.slots`; 0 for utterances only.
        max_utterance_s: As `Facts.max_utterance_s`.
        out_of_memory_above: Utterances in a batch the device has no room for; 0: never.
        faults: Whether hints make faults: ``fake:hang``, ``fake:lost``, ``fake:break``,
            ``fake:loop``, and ``fake:empty``, which answers nothing every other time.
        device: Only a name.
        model: Only a name.
    """

    fixed_s: float = 0.0
    per_second_s: float = 0.0
    step_s: float = 0.0
    load_s: float = 0.0
    max_batch: int = 32
    slots: int = 16
    max_utterance_s: float = 60.0
    out_of_memory_above: int = 0
    faults: bool = False
    device: str = "cpu"
    model: str = "fake"


def open_engine(config: Mapping[str, Any]) -> "FakeEngine":
    """Make the engine; see `agent.parakeet.engine.Factory`."""
    known = {item.name for item in fields(FakeSettings)}
    if unknown := config.keys() - known:
        raise SettingsError(f"the fake engine has no {sorted(unknown)}; it has {sorted(known)}")
    return FakeEngine(FakeSettings(**config))


def words_of(pcm: Int16Array) -> tuple[Word, ...]:
    """The words of 16 kHz audio: one for each block that is not silent.

    Args:
        pcm: Shape (n,), int16, 16 kHz. A last block that is not full counts too.
    """
    checksum, words = 0, []
    for start in range(0, len(pcm), BLOCK):
        block = pcm[start : start + BLOCK]
        checksum = zlib.crc32(block.tobytes(), checksum)
        if int(np.abs(block.astype(np.int32)).max()) >= SILENT:
            words.append(Word(_spell(checksum), start, start + len(block), 0.9))
    return tuple(words)


def _spell(checksum: int) -> str:
    letters = ""
    for _ in range(4):
        checksum, digit = divmod(checksum, len(_SYLLABLES))
        letters += _SYLLABLES[digit]
    return letters


def transcript_of(pcm: Int16Array, *, words_wanted: bool = True) -> Transcript:
    """What the fake hears in `pcm`."""
    words = words_of(pcm)
    text = " ".join(word.text for word in words)
    return Transcript(text, words if words_wanted else (), 0.9 if words else None, "en")


@dataclass
class _Stream:
    options: Options
    pieces: list[Int16Array] = field(default_factory=list)
    words_told: int = 0
    through: int = 0
    is_ended: bool = False


class FakeEngine:
    """See the module's text; `agent.parakeet.engine.Engine` for the methods."""

    def __init__(self, settings: FakeSettings) -> None:
        self._settings = settings
        self._streams: dict[int, _Stream] = {}
        self._has_emptied = False

    def load(self) -> Facts:
        """Sleep as long as a model would load."""
        time.sleep(self._settings.load_s)
        return Facts(
            engine="fake",
            model=self._settings.model,
            device=self._settings.device,
            max_batch=self._settings.max_batch,
            max_utterance_s=self._settings.max_utterance_s,
            slots=self._settings.slots,
            chunk_samples=BLOCK,
            languages=("en", "fr"),
            hints=True,
        )

    def transcribe(self, utterances: Sequence[Utterance]) -> Batch:
        """Sleep for the batch's cost, then spell its checksums."""
        started_s = time.monotonic()
        longest_s = max(seconds(len(utterance.pcm)) for utterance in utterances)
        cost_s = self._settings.fixed_s + self._settings.per_second_s * longest_s * len(utterances)
        if 0 < self._settings.out_of_memory_above < len(utterances):
            raise OutOfMemoryError(f"{len(utterances)} utterances do not fit")
        if self._settings.faults:
            self._fail(utterances)
        results = [self._result(utterance) for utterance in utterances]
        # The spelling is part of the cost, not on top of it.
        time.sleep(max(0.0, started_s + cost_s - time.monotonic()))
        return Batch(results, {"decode": cost_s})

    def open(self, stream: int, options: Options) -> None:
        """Take a slot."""
        if len(self._streams) >= self._settings.slots:
            raise NoSlotError(f"all {self._settings.slots} slots are taken")
        self._streams[stream] = _Stream(options)

    def push(self, pushes: Sequence[Push]) -> list[Update | Failure | None]:
        """Sleep for the step, then spell what is complete."""
        time.sleep(self._settings.step_s)
        return [self._step(push) for push in pushes]

    def abort(self, stream: int) -> None:
        """Free the slot."""
        self._streams.pop(stream, None)

    def close(self) -> None:
        """Nothing to free."""

    def _fail(self, utterances: Sequence[Utterance]) -> None:
        hints = {hint for utterance in utterances for hint in utterance.options.hints}
        if "fake:hang" in hints:
            time.sleep(3600)
        if "fake:lost" in hints:
            raise DeviceLostError("an illegal memory access, says the test")
        if "fake:break" in hints:
            raise ValueError("broken, says the test")

    def _result(self, utterance: Utterance) -> Transcript | Failure:
        options = utterance.options
        if options.language not in (None, "en", "fr"):
            return Failure(FailureKind.BAD_INPUT, f"no language {options.language!r}")
        heard = transcript_of(utterance.pcm, words_wanted=options.words)
        if not self._settings.faults:
            return heard
        if "fake:empty" in options.hints:
            # What Parakeet TDT does to a short utterance with a silent tail.
            self._has_emptied = not self._has_emptied
            if self._has_emptied:
                return Transcript("")
        if "fake:loop" in options.hints and heard.words:
            last = heard.words[-1]
            words = (*heard.words, *([last] * 60))
            return replace(heard, text=" ".join(word.text for word in words), words=words)
        return heard

    def _step(self, push: Push) -> Update | Failure | None:
        stream = self._streams.get(push.stream)
        if stream is None:
            return Failure(FailureKind.INTERNAL, "no such stream")
        stream.pieces.append(push.pcm)
        pcm = np.concatenate(stream.pieces)
        stream.pieces = [pcm]
        if push.is_last:
            del self._streams[push.stream]
            return Update(
                transcript_of(pcm, words_wanted=stream.options.words), len(pcm), is_final=True
            )
        through = len(pcm) - len(pcm) % BLOCK
        if through == stream.through:
            return None
        stream.through = through
        heard = transcript_of(pcm[:through], words_wanted=stream.options.words)
        count = len(heard.text.split())
        endpoints = self._endpoints(stream, pcm[:through], count)
        if count == stream.words_told and not endpoints:
            return None
        stream.words_told = count
        return Update(heard, through, endpoints=endpoints)

    @staticmethod
    def _endpoints(stream: _Stream, pcm: Int16Array, count: int) -> tuple[ModelEndpoint, ...]:
        if count > stream.words_told:
            stream.is_ended = False
        tail = pcm[-EOU_BLOCKS * BLOCK :]
        is_quiet = len(tail) == EOU_BLOCKS * BLOCK and int(np.abs(tail).max()) < SILENT
        if not count or not is_quiet or stream.is_ended:
            return ()
        stream.is_ended = True
        return (ModelEndpoint(EndpointKind.EOU, len(pcm)),)
