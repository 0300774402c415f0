"""What a media stream says, as events; and how to read it without believing it. Pure.

A peer is a provider, or somebody who found our address. Nothing it sends raises anything but
`MalformedError`, which the transport counts.
"""

import base64
import binascii
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

MAX_MESSAGE = 64 * 1024
"""Characters or bytes of one message. 64 KiB is 8 s of mu-law in one: more is not a live stream."""

_LONGEST_FIELD = 256
"""Characters of an identifier, a number or a header that are kept."""

_MOST_HEADERS = 32


class MalformedError(ValueError):
    """A message that says nothing we understand. Holds the reason, never the content."""


@dataclass(frozen=True, slots=True)
class Started:
    """The stream has begun.

    Attributes:
        stream_id: Names the stream in what we send.
        call_id: The provider's own name of the call.
        caller: Where the stream says it.
        called: Where the stream says it.
        headers: Parameters given to the stream when it was ordered.
        encoding: ``mulaw``, ``alaw`` or ``l16``.
        sample_rate: In Hz.
    """

    stream_id: str
    call_id: str
    caller: str | None = None
    called: str | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    encoding: str = "mulaw"
    sample_rate: int = 8_000


@dataclass(frozen=True, slots=True)
class Media:
    """The caller's audio; `sequence` counts packets, where the stream counts them."""

    sequence: int | None = None


@dataclass(frozen=True, slots=True)
class Key:
    """A key was pressed."""

    key: str


@dataclass(frozen=True, slots=True)
class Played:
    """All that was sent before a mark has been played, or dropped by a clear."""

    mark: str


@dataclass(frozen=True, slots=True)
class AllPlayed:
    """Nothing of ours is left to be played."""


@dataclass(frozen=True, slots=True)
class Control:
    """Something for the serializer to answer, such as a ping."""


@dataclass(frozen=True, slots=True)
class Stopped:
    """The stream is over."""

    reason: str = "the call ended"


@dataclass(frozen=True, slots=True)
class Ignored:
    """Understood, and of no consequence."""


Event = Started | Media | Key | Played | AllPlayed | Control | Stopped | Ignored

IGNORED = Ignored()


def parse(data: str | bytes) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        MalformedError: Too large, no JSON, nested too deep, or no object.
    """
    if len(data) > MAX_MESSAGE:
        raise MalformedError(f"a message of {len(data)} characters; {MAX_MESSAGE} at most")
    try:
        message = json.loads(data)
    except (ValueError, RecursionError):
        raise MalformedError("a message that is not JSON") from None
    if not isinstance(message, dict):
        raise MalformedError("JSON that is not an object")
    return message


def part(message: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    """An object inside an object.

    Raises:
        MalformedError: It is missing or something else.
    """
    value = message.get(name)
    if not isinstance(value, dict):
        raise MalformedError(f"no object {name!r}")
    return value


def text(message: Mapping[str, Any], name: str) -> str:
    """A short, printable text.

    Raises:
        MalformedError: It is missing, empty, long, or holds control characters.
    """
    value = optional_text(message, name)
    if value is None:
        raise MalformedError(f"no text {name!r}")
    return value


def optional_text(message: Mapping[str, Any], name: str) -> str | None:
    """A short, printable text, or None where there is no such thing."""
    value = message.get(name)
    if isinstance(value, str) and 0 < len(value) <= _LONGEST_FIELD and value.isprintable():
        return value
    return None


def number(message: Mapping[str, Any], name: str) -> int | None:
    """A whole number of at most 18 digits, written as such or as text; else None."""
    value = message.get(name)
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) <= 18:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 10**18:
        return value
    return None


def headers(message: Mapping[str, Any], name: str) -> Mapping[str, str]:
    """A table of short texts; what else is in it is left out."""
    value = message.get(name)
    if not isinstance(value, dict):
        return MappingProxyType({})
    kept: dict[str, str] = {}
    for key in value:
        found = optional_text(value, key) if len(key) <= _LONGEST_FIELD else None
        if found is not None and len(kept) < _MOST_HEADERS:
            kept[key] = found
    return MappingProxyType(kept)


def require_audio(message: Mapping[str, Any], *, sample_bytes: int) -> None:
    """Make sure that an object's ``payload`` is base64 of whole samples.

    Raises:
        MalformedError: It is not.
    """
    payload = message.get("payload")
    if not isinstance(payload, str) or not payload:
        raise MalformedError("media without a payload")
    try:
        audio = base64.b64decode(payload, validate=True)
    except (binascii.Error, ValueError):
        raise MalformedError("a payload that is not base64") from None
    if not audio or len(audio) % sample_bytes:
        raise MalformedError("a payload that is not whole samples")


def sequence(message: Mapping[str, Any]) -> int | None:
    """Which packet of its track this is, by the stream's own count."""
    return number(message, "chunk")
