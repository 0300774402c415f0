"""Telnyx media streaming in both directions: ``stream_bidirectional_mode`` must be ``rtp``.

https://developers.telnyx.com/api-reference/websockets/stream-call-media-over-websocket
"""

import json
from collections.abc import Mapping
from typing import Any

from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.telnyx import TelnyxFrameSerializer

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

_ENCODINGS = {"PCMU": "mulaw", "PCMA": "alaw"}


class TelnyxStream(JsonStream):
    """8 kHz mu-law or A-law. Telnyx does not promise order; the chunk numbers restore it."""

    name = "telnyx"
    capabilities = Capabilities(
        clear=True, mark=True, dtmf_in=True, dtmf_out=True, transfer=True, record=True
    )

    # TeXML's CallSid is not documented to be the call control id.
    names_call_alike = False

    def mark(self, name: str) -> str:
        """Ask to be told when everything before has been played."""
        return json.dumps({"event": "mark", "mark": {"name": name}})

    def _start(self, message: Mapping[str, Any], start: Mapping[str, Any]) -> Started:
        media = part(start, "media_format")
        encoding = _ENCODINGS.get(str(media.get("encoding")))
        if encoding is None:
            raise MalformedError(f"an encoding other than {', '.join(_ENCODINGS)}")
        return Started(
            stream_id=text(message, "stream_id"),
            call_id=text(start, "call_control_id"),
            caller=optional_text(start, "from"),
            called=optional_text(start, "to"),
            headers=headers(start, "custom_parameters"),
            encoding=encoding,
            sample_rate=require_rate(number(media, "sample_rate"), 8_000),
        )

    def _make_serializer(self, started: Started) -> FrameSerializer:
        encoding = "PCMA" if started.encoding == "alaw" else "PCMU"
        return TelnyxFrameSerializer(
            started.stream_id,
            outbound_encoding=encoding,
            inbound_encoding=encoding,
            params=TelnyxFrameSerializer.InputParams(sample_rate=8_000, auto_hang_up=False),
        )
