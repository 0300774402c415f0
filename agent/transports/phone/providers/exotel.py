"""Exotel's Voicebot applet.

https://developer.exotel.com/docs/agentstream/websocket-protocol
"""

import json
from collections.abc import Mapping
from typing import Any

from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.exotel import ExotelFrameSerializer

from agent.transports.phone.call import Capabilities
from agent.transports.phone.providers.stream import JsonStream, require_rate
from agent.transports.phone.wire import Started, headers, number, optional_text, part, text

_RATES = (8_000, 16_000, 24_000)


class ExotelStream(JsonStream):
    """Linear 16-bit PCM at 8, 16 or 24 kHz.

    Exotel asks for chunks of 3.2 kB at least, in multiples of 320 bytes: 200 ms at 8 kHz.
    """

    name = "exotel"
    capabilities = Capabilities(clear=True, mark=True, dtmf_in=True, dtmf_out=True, record=True)
    packet_s = 0.2
    lead_s = 0.4
    SAMPLE_BYTES = 2

    def mark(self, name: str) -> str:
        """Ask to be told when everything before has been played."""
        assert self.started
        mark = {"event": "mark", "stream_sid": self.started.stream_id, "mark": {"name": name}}
        return json.dumps(mark)

    def _start(self, message: Mapping[str, Any], start: Mapping[str, Any]) -> Started:
        media = part(start, "media_format")
        return Started(
            stream_id=text(start, "stream_sid"),
            call_id=text(start, "call_sid"),
            caller=optional_text(start, "from"),
            called=optional_text(start, "to"),
            headers=headers(start, "custom_parameters"),
            encoding="l16",
            sample_rate=require_rate(number(media, "sample_rate"), *_RATES),
        )

    def _make_serializer(self, started: Started) -> FrameSerializer:
        rate = started.sample_rate
        return ExotelFrameSerializer(
            started.stream_id,
            params=ExotelFrameSerializer.InputParams(exotel_sample_rate=rate, sample_rate=rate),
        )
