"""Genesys Cloud Audio Connector: the AudioHook protocol, version 2.

https://developer.genesys.cloud/devapps/audiohook
"""

import json
from collections.abc import Mapping
from typing import Any

from pipecat.frames.frames import EndFrame, OutputTransportMessageUrgentFrame
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.genesys import GenesysAudioHookSerializer

from agent.transports.phone.call import Capabilities
from agent.transports.phone.providers.stream import MediaStream, key
from agent.transports.phone.wire import (
    IGNORED,
    AllPlayed,
    Control,
    Event,
    Key,
    MalformedError,
    Media,
    Started,
    Stopped,
    headers,
    number,
    optional_text,
    parse,
    part,
    text,
)


class GenesysStream(MediaStream):
    """8 kHz mu-law, binary, with a JSON conversation beside it.

    Genesys limits how many messages a second it takes, so packets are long. It says when all was
    played, and nothing in between: what was heard is estimated.
    """

    name = "genesys"
    capabilities = Capabilities(clear=True, dtmf_in=True, dtmf_out=True, transfer=True, record=True)
    packet_s = 0.2
    lead_s = 0.4
    says_farewell = True

    async def reply(self, data: str | bytes) -> str | None:
        """Answer open, ping and close, as Pipecat's serializer does."""
        if self._serializer is None or isinstance(data, bytes):
            return None
        frame = await self.serializer.deserialize(data)
        if not isinstance(frame, OutputTransportMessageUrgentFrame):
            return None
        return json.dumps(frame.message)

    async def farewell(self, transfer_to: str | None = None) -> str | None:
        """Say that we are done; what comes next is Architect's to decide."""
        assert isinstance(self.serializer, GenesysAudioHookSerializer)
        if transfer_to is None:
            variables = {"action": "finished"}
        else:
            variables = {"action": "transfer", "transfer_to": transfer_to}
        self.serializer.set_output_variables(variables)
        message = await self.serializer.serialize(EndFrame())
        return message if isinstance(message, str) else None

    def _text(self, data: str) -> Event:
        message = parse(data)
        kind = text(message, "type")
        parameters = part(message, "parameters")
        if number(message, "seq") is None or not isinstance(message.get("position", ""), str):
            raise MalformedError("no sequence number, or a position that is none")
        if kind == "open":
            return _start(message, parameters)
        if kind == "ping":
            return Control()
        if kind == "dtmf":
            return Key(key(text(parameters, "digit")))
        if kind == "playback_completed":
            return AllPlayed()
        if kind == "close":
            return Stopped()
        return IGNORED

    def _binary(self, data: bytes) -> Event:
        if not data:
            raise MalformedError("audio without samples")
        return Media()

    def _make_serializer(self, started: Started) -> FrameSerializer:
        return GenesysAudioHookSerializer(
            GenesysAudioHookSerializer.InputParams(
                sample_rate=8_000, resampler_clear_after_secs=None
            )
        )


def _start(message: Mapping[str, Any], parameters: Mapping[str, Any]) -> Started:
    _require_external_mulaw(parameters.get("media"))
    participant = parameters.get("participant")
    who = participant if isinstance(participant, dict) else {}
    if participant is not None and not isinstance(participant, dict):
        raise MalformedError("a participant that is none")
    return Started(
        stream_id=text(message, "id"),
        call_id=text(parameters, "conversationId"),
        caller=optional_text(who, "ani"),
        called=optional_text(who, "dnis"),
        headers=headers(parameters, "inputVariables"),
    )


def _require_external_mulaw(media: object) -> None:
    """The serializer takes the first offer: it must be the caller alone, in 8 kHz mu-law."""
    first = media[0] if isinstance(media, list) and media else None
    if not isinstance(first, dict):
        raise MalformedError("no media offered")
    wanted = {"format": "PCMU", "rate": 8_000, "channels": ["external"]}
    if any(first.get(name) != value for name, value in wanted.items()):
        raise MalformedError("media other than the caller's in 8 kHz PCMU offered first")
