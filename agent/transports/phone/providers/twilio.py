"""Twilio Media Streams, bidirectional: ``<Connect><Stream>``.

https://www.twilio.com/docs/voice/media-streams/websocket-messages
"""

import json
from collections.abc import Mapping
from typing import Any

from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.twilio import TwilioFrameSerializer

from agent.transports.phone.call import Capabilities
from agent.transports.phone.providers.stream import JsonStream, require_rate
from agent.transports.phone.wire import MalformedError, Started, headers, number, part, text


class TwilioStream(JsonStream):
    """8 kHz mu-law. The numbers are not in the stream; our answer to the webhook adds them."""

    name = "twilio"
    capabilities = Capabilities(
        clear=True, mark=True, dtmf_in=True, dtmf_out=True, transfer=True, record=True
    )

    def mark(self, name: str) -> str:
        """Ask to be told when everything before has been played."""
        assert self.started
        mark = {"event": "mark", "streamSid": self.started.stream_id, "mark": {"name": name}}
        return json.dumps(mark)

    def _start(self, message: Mapping[str, Any], start: Mapping[str, Any]) -> Started:
        media = part(start, "mediaFormat")
        if media.get("encoding") != "audio/x-mulaw":
            raise MalformedError("an encoding other than audio/x-mulaw")
        return Started(
            stream_id=text(start, "streamSid"),
            call_id=text(start, "callSid"),
            headers=headers(start, "customParameters"),
            sample_rate=require_rate(number(media, "sampleRate"), 8_000),
        )

    def _make_serializer(self, started: Started) -> FrameSerializer:
        return TwilioFrameSerializer(
            started.stream_id,
            params=TwilioFrameSerializer.InputParams(sample_rate=8_000, auto_hang_up=False),
        )
