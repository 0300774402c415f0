"""The messages of our own service's WebSocket, version 1. Pure.

Described in docs/parakeet.md. What is not understood is None: the service may be newer than we.
"""

import json
import math
import struct
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.asr.hybrid.events import Answer
from agent.asr.hypothesis import Word
from agent.audio.chunk import Int16Array

PROTOCOL = 1
MOST_SAMPLES = 160_000
"""Of one audio message: 10 s."""

_HEADER = struct.Struct("<IIQ")


@dataclass(frozen=True, slots=True)
class Welcome:
    """The connection stands.

    Attributes:
        token: Resumes the session over another connection; empty where there is no resuming.
        resumed: Whether this is one that went on.
        held: Samples the server holds, by utterance, of a session that went on.
    """

    token: str
    resumed: bool
    held: Mapping[int, int]


@dataclass(frozen=True, slots=True)
class Ack:
    """The server holds the utterance's samples before `sample`."""

    utterance: int
    sample: int


@dataclass(frozen=True, slots=True)
class Partial:
    """Tentative text: a sign of life."""

    utterance: int


@dataclass(frozen=True, slots=True)
class Finished:
    """The utterance's only final.

    Attributes:
        utterance: Whose.
        answer: The text.
        samples: How many the server heard.
        crc32: Of their bytes.
    """

    utterance: int
    answer: Answer
    samples: int
    crc32: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Something went wrong.

    Attributes:
        code: As documented.
        utterance: Whose; None for the connection.
        fatal: Whether it is over.
        retryable: Whether the same audio may succeed elsewhere or later.
    """

    code: str
    utterance: int | None
    fatal: bool
    retryable: bool


@dataclass(frozen=True, slots=True)
class GoingAway:
    """The server drains: begin nothing new here."""


Message = Welcome | Ack | Partial | Finished | Failed | GoingAway


def audio(utterance: int, seq: int, sample: int, pcm: Int16Array) -> bytes:
    """Frame samples, shape (n,) with n at most `MOST_SAMPLES`, int16, 16 kHz."""
    return _HEADER.pack(utterance, seq, sample) + pcm.astype("<i2").tobytes()


def hello(token: str, language: str, hints: tuple[str, ...]) -> str:
    """Open a connection; a token resumes a session."""
    message: dict[str, Any] = {"type": "hello", "protocol": PROTOCOL, "partials": False}
    if token:
        message["token"] = token
    if language:
        message["language"] = language
    if hints:
        message["hints"] = list(hints)
    return json.dumps(message)


def finalize(utterance: int, samples: int, deadline_s: float) -> str:
    """Ask for the final of an utterance of so many samples."""
    return json.dumps(
        {
            "type": "finalize",
            "utterance": utterance,
            "samples": samples,
            "deadline_s": deadline_s,
        }
    )


def abort(utterance: int) -> str:
    """Forget an utterance."""
    return json.dumps({"type": "abort", "utterance": utterance})


def received(utterance: int) -> str:
    """Its final has arrived."""
    return json.dumps({"type": "received", "utterance": utterance})


def parse(text: str) -> Message | None:
    """Understand a message, or not."""
    try:
        message = json.loads(text)
    except (ValueError, RecursionError):
        return None
    if not isinstance(message, dict):
        return None
    return _understood(message)


def _understood(message: dict[str, Any]) -> Message | None:
    match message:
        case {"type": "welcome"}:
            token = message.get("token")
            return Welcome(
                token if isinstance(token, str) else "",
                message.get("resumed") is True,
                _held(message.get("utterances")),
            )
        case {"type": "ack", "utterance": int(utterance), "sample": int(sample)}:
            return Ack(utterance, sample)
        case {"type": "partial", "utterance": int(utterance)}:
            return Partial(utterance)
        case {"type": "final", "utterance": int(utterance), "text": str(text)}:
            answer = Answer(text, words(message.get("words")), _probability(message))
            count, crc32 = message.get("samples"), message.get("crc32")
            if isinstance(count, int) and isinstance(crc32, int):
                return Finished(utterance, answer, count, crc32)
        case {"type": "error", "code": str(code)}:
            whose = message.get("utterance")
            return Failed(
                code,
                whose if isinstance(whose, int) else None,
                message.get("fatal") is True,
                message.get("retryable") is True,
            )
        case {"type": "going_away"}:
            return GoingAway()
    return None


def words(value: object) -> tuple[Word, ...]:
    """Words with times in samples; none if any of them makes no sense."""
    if not isinstance(value, list):
        return ()
    understood = []
    for item in value:
        match item:
            case {"text": str(text), "start_sample": int(start), "end_sample": int(end)} if (
                0 <= start <= end
            ):
                sure = _probability(item)
                understood.append(Word(text, start, end, 1.0 if sure is None else sure))
            case _:
                return ()
    return tuple(understood)


def _held(value: object) -> dict[int, int]:
    held = {}
    for item in value if isinstance(value, list) else ():
        match item:
            case {"utterance": int(utterance), "sample": int(sample)} if sample >= 0:
                held[utterance] = sample
    return held


def _probability(message: Mapping[str, Any]) -> float | None:
    value = message.get("confidence")
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # A number of JSON may have more digits than a float.
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return float(min(max(value, 0), 1))
