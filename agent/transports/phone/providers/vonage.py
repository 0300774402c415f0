"""Vonage Voice API WebSockets: binary PCM, JSON beside it.

https://developer.vonage.com/en/voice/voice-api/concepts/websockets
"""

import json
import re
from collections.abc import Mapping
from typing import Any

from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.vonage import VonageFrameSerializer

from agent.transports.phone.call import Capabilities
from agent.transports.phone.providers.stream import MediaStream, key, require_rate
from agent.transports.phone.wire import (
    IGNORED,
    Event,
    Key,
    MalformedError,
    Media,
    Played,
    Started,
    headers,
    optional_text,
    parse,
    part,
    text,
)

_CONTENT_TYPE = re.compile(r"audio/l16; ?rate=(\d{4,5})")


class VonageStream(MediaStream):
    """Linear 16-bit PCM at 8, 16 or 24 kHz; we ask for 16. A notify comes back like a mark.

    What we gave the webhook's answer as headers comes back in the first message.
    """

    name = "vonage"
    capabilities = Capabilities(
        clear=True, mark=True, dtmf_in=True, dtmf_out=True, transfer=True, record=True
    )

    def mark(self, name: str) -> str:
        """Ask to be told when everything before has been played."""
        return json.dumps({"action": "notify", "payload": {"mark": name}})

    def _text(self, data: str) -> Event:
        message = parse(data)
        kind = text(message, "event")
        if kind == "websocket:connected":
            return _start(message)
        if kind == "websocket:dtmf":
            return Key(key(_digit(message)))
        if kind == "websocket:notify":
            mark = optional_text(part(message, "payload"), "mark")
            return Played(mark) if mark else IGNORED
        return IGNORED

    def _binary(self, data: bytes) -> Event:
        if not data or len(data) % 2:
            raise MalformedError("audio that is not whole samples")
        return Media()

    def _make_serializer(self, started: Started) -> FrameSerializer:
        rate = started.sample_rate
        return VonageFrameSerializer(
            VonageFrameSerializer.InputParams(vonage_sample_rate=rate, sample_rate=rate)
        )


def _start(message: Mapping[str, Any]) -> Started:
    found = _CONTENT_TYPE.fullmatch(text(message, "content-type"))
    rate = require_rate(int(found[1]) if found else None, 8_000, 16_000, 24_000)
    given = headers({"all": dict(message)}, "all")
    known = ("event", "content-type", "call_id", "caller", "called")
    return Started(
        stream_id=text(message, "call_id"),
        call_id=text(message, "call_id"),
        caller=optional_text(message, "caller"),
        called=optional_text(message, "called"),
        headers={name: value for name, value in given.items() if name not in known},
        encoding="l16",
        sample_rate=rate,
    )


def _digit(message: Mapping[str, Any]) -> str:
    nested = message.get("dtmf")
    return text(nested if isinstance(nested, dict) else message, "digit")
