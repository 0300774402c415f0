"""Asterisk's WebSocket channel (chan_websocket): binary audio, text for control.

https://docs.asterisk.org/Configuration/Channel-Drivers/WebSocket/
"""

import json
from typing import Any, ClassVar

import numpy as np
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
)
from pipecat.serializers.base_serializer import FrameSerializer

from agent.transports.phone.call import Capabilities
from agent.transports.phone.providers.stream import MediaStream, key
from agent.transports.phone.wire import (
    IGNORED,
    Event,
    Key,
    MalformedError,
    Media,
    Played,
    Started,
    parse,
    text,
)
from agent.transports.sip.g711 import G711, PCMA, PCMU

_FORMATS: dict[str, tuple[str, int]] = {
    "ulaw": ("mulaw", 8_000),
    "alaw": ("alaw", 8_000),
    "slin": ("l16", 8_000),
    "slin12": ("l16", 12_000),
    "slin16": ("l16", 16_000),
    "slin24": ("l16", 24_000),
    "slin32": ("l16", 32_000),
    "slin48": ("l16", 48_000),
}
"""Asterisk's names of what we speak, by encoding and sample rate."""

_LAWS: dict[str, G711] = {"mulaw": PCMU, "alaw": PCMA}
_MOST_FIELDS = 32


class AsteriskStream(MediaStream):
    """One channel. Its control messages are plain text or JSON, as Asterisk is set up."""

    name: ClassVar[str] = "asterisk"
    capabilities: ClassVar[Capabilities] = Capabilities(
        clear=True, mark=True, dtmf_in=True, record=True
    )
    says_farewell: ClassVar[bool] = True

    def __init__(self) -> None:
        super().__init__()
        self._speaks_json = True

    def mark(self, name: str) -> str:
        """Ask to be told when everything before has been played."""
        return self._command("MARK_MEDIA", name)

    async def farewell(self, transfer_to: str | None = None) -> str:
        """Hang up; Asterisk then closes the socket."""
        return self._command("HANGUP")

    def _text(self, data: str) -> Event:
        is_json = data.lstrip().startswith("{")
        message = parse(data) if is_json else _fields(data)
        kind = text(message, "event")
        if kind == "MEDIA_START":
            self._speaks_json = is_json
            return _start(message)
        if kind == "DTMF_END":
            return Key(key(text(message, "digit")))
        if kind == "MEDIA_MARK_PROCESSED":
            return Played(text(message, "correlation_id"))
        return IGNORED

    def _binary(self, data: bytes) -> Event:
        if not data or (self.started and self.started.encoding == "l16" and len(data) % 2):
            raise MalformedError("audio that is not whole samples")
        return Media()

    def _make_serializer(self, started: Started) -> FrameSerializer:
        return _Serializer(started, self._command("FLUSH_MEDIA"))

    def _command(self, command: str, correlation_id: str = "") -> str:
        if not self._speaks_json:
            return f"{command} {correlation_id}".strip()
        named = {"correlation_id": correlation_id} if correlation_id else {}
        return json.dumps({"command": command, **named})


class _Serializer(FrameSerializer):
    """Audio in the channel's own codec."""

    def __init__(self, started: Started, flush: str) -> None:
        super().__init__()
        self._law = _LAWS.get(started.encoding)
        self._rate = started.sample_rate
        self._flush = flush

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Audio as bytes; an interruption empties Asterisk's queue."""
        if isinstance(frame, InterruptionFrame):
            return self._flush
        if not isinstance(frame, OutputAudioRawFrame):
            return None
        return self._law.encode(np.frombuffer(frame.audio, np.int16)) if self._law else frame.audio

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """Bytes as audio."""
        if isinstance(data, str):
            return None
        pcm = self._law.decode(data).tobytes() if self._law else data[: len(data) & ~1]
        return InputAudioRawFrame(audio=pcm, sample_rate=self._rate, num_channels=1)


def _fields(data: str) -> dict[str, Any]:
    """Read a plain-text message: a name, then ``format:ulaw`` and the like; a mark stands bare."""
    name, *words = data.split(" ")[: _MOST_FIELDS + 1]
    fields = dict(word.split(":", 1) for word in words if ":" in word)
    if words and ":" not in words[0]:
        fields["correlation_id"] = words[0]
    return {**fields, "event": name.strip()}


def _start(message: dict[str, Any]) -> Started:
    name = text(message, "format")
    if name not in _FORMATS:
        raise MalformedError(f"a format we do not have; dial with one of {', '.join(_FORMATS)}")
    encoding, rate = _FORMATS[name]
    variables = message.get("channel_variables")
    known = variables if isinstance(variables, dict) else {}
    return Started(
        stream_id=text(message, "connection_id"),
        call_id=text(message, "channel_id")
        if "channel_id" in message
        else text(message, "channel"),
        caller=_variable(known, "CALLERID(num)"),
        called=_variable(known, "EXTEN"),
        encoding=encoding,
        sample_rate=rate,
    )


def _variable(variables: dict[str, Any], name: str) -> str | None:
    value = variables.get(name)
    return value if isinstance(value, str) and value.isprintable() and value[:64] else None
