"""Messages between the front and a worker: a JSON header and raw PCM. Pure.

A frame is two little-endian uint32 lengths, the header in UTF-8 and the payload. The header's
``do`` names what the front asks, ``is`` what the worker answers.
"""

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from agent.asr.hypothesis import Word
from agent.errors import DuplexError
from agent.parakeet.engine import (
    EndpointKind,
    Facts,
    Failure,
    FailureKind,
    ModelEndpoint,
    Options,
    Transcript,
    Update,
)

Header = dict[str, Any]

PREFIX = struct.Struct("<II")
"""Length of the header and of the payload, in bytes."""

LONGEST_HEADER = 64 << 20
LONGEST_PAYLOAD = 1 << 30


class WireError(DuplexError):
    """What came over the pipe is no frame: the worker is replaced."""


def encode(header: Mapping[str, Any], payload_bytes: int = 0) -> bytes:
    """Make one frame's beginning; the payload, which is long, follows without being copied."""
    text = json.dumps(header, separators=(",", ":")).encode()
    return PREFIX.pack(len(text), payload_bytes) + text


def lengths(prefix: bytes) -> tuple[int, int]:
    """Read a frame's prefix.

    Raises:
        WireError: Not a frame: something else wrote to the pipe.
    """
    header, payload = PREFIX.unpack(prefix)
    if header > LONGEST_HEADER or payload > LONGEST_PAYLOAD:
        raise WireError(f"a frame of {header} + {payload} bytes; something else writes to the pipe")
    return header, payload


def decode(header: bytes) -> Header:
    """Read a frame's header.

    Raises:
        WireError: Not a JSON object.
    """
    try:
        found = json.loads(header)
    except ValueError as error:
        raise WireError(f"a header is not JSON: {error}") from error
    if not isinstance(found, dict):
        raise WireError("a header is no object")
    return found


def options_to(options: Options) -> Header:
    """As JSON."""
    return asdict(options)


def options_from(header: Header) -> Options:
    """From JSON."""
    return Options(header["language"], tuple(header["hints"]), header["words"])


def facts_from(header: Header) -> Facts:
    """From JSON; ``dataclasses.asdict`` is the other way."""
    return Facts(**{**header, "languages": tuple(header["languages"])})


def result_to(result: Transcript | Failure) -> Header:
    """As JSON; words are lists, for there are many."""
    if isinstance(result, Failure):
        return {"failure": result.kind.value, "message": result.message}
    return {
        "text": result.text,
        "words": [[w.text, w.start_sample, w.end_sample, w.confidence] for w in result.words],
        "confidence": result.confidence,
        "language": result.language,
    }


def result_from(header: Header) -> Transcript | Failure:
    """From JSON."""
    if "failure" in header:
        return Failure(FailureKind(header["failure"]), header["message"])
    words = tuple(Word(*word) for word in header["words"])
    return Transcript(header["text"], words, header["confidence"], header["language"])


def update_to(update: Update) -> Header:
    """As JSON."""
    return {
        "transcript": result_to(update.transcript),
        "through_sample": update.through_sample,
        "is_final": update.is_final,
        "endpoints": [[point.kind.value, point.sample] for point in update.endpoints],
    }


def update_from(header: Header) -> Update:
    """From JSON."""
    transcript = result_from(header["transcript"])
    if isinstance(transcript, Failure):
        raise WireError("an update holds no transcript")
    points = tuple(ModelEndpoint(EndpointKind(kind), at) for kind, at in header["endpoints"])
    return Update(transcript, header["through_sample"], header["is_final"], points)
