"""Plivo audio streaming, ``<Stream bidirectional="true" keepCallAlive="true">``.

https://www.plivo.com/docs/voice-agents/audio-streaming/concepts/audio-streaming-reference
"""

import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.plivo import PlivoFrameSerializer

from agent.transports.phone.call import Capabilities
from agent.transports.phone.providers.stream import JsonStream, require_rate
from agent.transports.phone.wire import (
    MalformedError,
    Started,
    headers,
    number,
    optional_text,
    part,
    text,
)


class PlivoStream(JsonStream):
    """8 kHz mu-law. Marks are called checkpoints."""

    name = "plivo"
    capabilities = Capabilities(
        clear=True, mark=True, dtmf_in=True, dtmf_out=True, transfer=True, record=True
    )
    MARK_EVENT = "playedStream"

    def mark(self, name: str) -> str:
        """Ask to be told when everything before has been played."""
        assert self.started
        checkpoint = {"event": "checkpoint", "streamId": self.started.stream_id, "name": name}
        return json.dumps(checkpoint)

    def keys(self, digits: str) -> list[str]:
        """Press keys."""
        return [json.dumps({"event": "sendDTMF", "dtmf": digits})]

    def _mark_name(self, message: Mapping[str, Any]) -> str:
        return text(message, "name")

    def _start(self, message: Mapping[str, Any], start: Mapping[str, Any]) -> Started:
        media = part(start, "mediaFormat")
        if media.get("encoding") != "audio/x-mulaw":
            raise MalformedError("an encoding other than audio/x-mulaw")
        return Started(
            stream_id=text(start, "streamId"),
            call_id=text(start, "callId"),
            headers=_extra_headers(optional_text(message, "extra_headers") or ""),
            sample_rate=require_rate(number(media, "sampleRate"), 8_000),
        )

    def _make_serializer(self, started: Started) -> FrameSerializer:
        return PlivoFrameSerializer(
            started.stream_id,
            params=PlivoFrameSerializer.InputParams(sample_rate=8_000, auto_hang_up=False),
        )


def _extra_headers(line: str) -> Mapping[str, str]:
    """Read ``a=1;b=2``."""
    pairs = (item.partition("=") for item in line.replace(",", ";").split(";"))
    table = {name.strip(): value.strip() for name, equals, value in pairs if equals}
    return headers({"extra": table}, "extra") if table else MappingProxyType({})
