"""The native protocol's messages (docs/parakeet.md), read and checked. Pure."""

import json
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.asr.hypothesis import Word
from agent.audio.chunk import SAMPLE_RATE
from agent.errors import DuplexError
from agent.parakeet.engine import Options

PROTOCOL = 1

AUDIO = struct.Struct("<IIQ")
"""Utterance, sequence number, position of the first sample."""

LONGEST_AUDIO = 10 * SAMPLE_RATE * 2
"""Bytes of PCM in one message."""

MOST_HINTS, LONGEST_HINT = 1000, 200


class BadMessageError(DuplexError):
    """Not a message of this protocol; it is skipped and counted."""


@dataclass(frozen=True, slots=True)
class Audio:
    """A binary message.

    Attributes:
        utterance: Chosen by the client.
        seq: Of this message on its connection.
        sample: Position of the first sample in the utterance.
        pcm: int16 little-endian, 16 kHz mono.
    """

    utterance: int
    seq: int
    sample: int
    pcm: bytes


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a client wants of an utterance.

    Attributes:
        language: ISO 639-1 code, or None.
        hints: Names to expect.
        words: Whether word times are wanted.
        partials: Whether tentative text is wanted.
    """

    language: str | None = None
    hints: tuple[str, ...] = ()
    words: bool = True
    partials: bool = True

    def options(self) -> Options:
        """What the engine is asked."""
        return Options(self.language, self.hints, self.words)


def read_audio(message: bytes) -> Audio:
    """Read a binary message.

    Raises:
        BadMessageError: Too short, too long, half a sample, or utterance 0.
    """
    if len(message) < AUDIO.size or (len(message) - AUDIO.size) % 2:
        raise BadMessageError(f"{len(message)} bytes are no header of 16 bytes and whole samples")
    if len(message) - AUDIO.size > LONGEST_AUDIO:
        raise BadMessageError("an audio message has at most 10 s")
    utterance, seq, sample = AUDIO.unpack_from(message)
    if not utterance:
        raise BadMessageError("utterances count from 1")
    return Audio(utterance, seq, sample, message[AUDIO.size :])


def write_audio(audio: Audio) -> bytes:
    """Make a binary message."""
    return AUDIO.pack(audio.utterance, audio.seq, audio.sample) + audio.pcm


def read_text(message: str) -> dict[str, Any]:
    """Read a text message.

    Raises:
        BadMessageError: Not a JSON object with a ``type``.
    """
    try:
        found = json.loads(message)
    except (ValueError, RecursionError):
        raise BadMessageError("not JSON") from None
    if not isinstance(found, dict) or not isinstance(found.get("type"), str):
        raise BadMessageError('a message is a JSON object with a "type"')
    return found


def read_utterance(message: Mapping[str, Any]) -> int:
    """The utterance that a message speaks of.

    Raises:
        BadMessageError: Not a positive whole number.
    """
    return _whole(message, "utterance", least=1)


def read_samples(message: Mapping[str, Any]) -> int:
    """How many samples a finalised utterance has.

    Raises:
        BadMessageError: Not a whole number.
    """
    return _whole(message, "samples", least=0)


def read_deadline(message: Mapping[str, Any], default_s: float) -> float:
    """Seconds within which a final is wanted.

    Raises:
        BadMessageError: Not a positive number.
    """
    value = message.get("deadline_s", default_s)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < 3600:
        raise BadMessageError("deadline_s is a positive number of seconds")
    return float(value)


def read_wishes(message: Mapping[str, Any], default: Wishes) -> Wishes:
    """What ``hello`` or ``begin`` asks for; what it leaves out stays as in `default`.

    Raises:
        BadMessageError: A field has the wrong type.
    """
    language = message.get("language", default.language)
    if language is not None and not (isinstance(language, str) and 0 < len(language) <= 35):
        raise BadMessageError("language is a code such as 'en'")
    hints = message.get("hints", default.hints)
    if not isinstance(hints, list | tuple) or len(hints) > MOST_HINTS:
        raise BadMessageError(f"hints is a list of at most {MOST_HINTS} words")
    if not all(isinstance(hint, str) and len(hint) <= LONGEST_HINT for hint in hints):
        raise BadMessageError(f"a hint is a text of at most {LONGEST_HINT} characters")
    return Wishes(
        language,
        tuple(hints),
        _flag(message, "words", default.words),
        _flag(message, "partials", default.partials),
    )


def words_to(words: tuple[Word, ...]) -> list[dict[str, Any]]:
    """Words as the protocol writes them."""
    return [
        {
            "text": word.text,
            "start_sample": word.start_sample,
            "end_sample": word.end_sample,
            "confidence": word.confidence,
        }
        for word in words
    ]


def _whole(message: Mapping[str, Any], name: str, least: int) -> int:
    value = message.get(name)
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value < 1 << 48:
        raise BadMessageError(f"{name} is a whole number from {least} on")
    return value


def _flag(message: Mapping[str, Any], name: str, default: bool) -> bool:
    value = message.get(name, default)
    if not isinstance(value, bool):
        raise BadMessageError(f"{name} is true or false")
    return value
