"""The WebSocket of Pipecat's client SDKs, `/v1/rtvi`: Protobuf frames of audio and messages."""

import json
from typing import Any

from fastapi import WebSocket
from google.protobuf.message import DecodeError
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    FunctionCallResultFrame,
    FunctionCallsStartedFrame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.serializers.protobuf import ProtobufFrameSerializer
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketClient,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)
from pipecat.utils.time import time_now_iso8601

from agent.transports.rtvi_messages import RtviProtocol
from agent.transports.stream import MAX_AUDIO, MAX_TEXT, StreamOutput

SAMPLE_RATE = 24_000
"""Of the agent's audio, which the SDK's player expects."""

_RATES = range(8_000, 48_001)


class RtviSerializer(FrameSerializer):
    """Reads what the client sends. Pipecat's own serializer ends a session on one bad byte."""

    def __init__(self, protocol: RtviProtocol) -> None:
        super().__init__()
        self._protobuf = ProtobufFrameSerializer()
        self._protocol = protocol
        self.client: FastAPIWebsocketClient | None = None
        self.malformed = 0

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Nothing leaves this way: see `RtviOutput`."""
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """A frame, or None for what cannot be understood."""
        if isinstance(data, str) or len(data) > MAX_AUDIO:
            self._reject(f"{len(data)} of text or audio")
            return None
        try:
            frame = await self._protobuf.deserialize(data)
        except (DecodeError, ValueError, ArithmeticError, RecursionError) as error:
            self._reject(type(error).__name__)
            return None
        if isinstance(frame, InputAudioRawFrame):
            return frame if frame.num_channels == 1 and frame.sample_rate in _RATES else None
        if not isinstance(frame, InputTransportMessageFrame):
            return None
        return await self._message(frame.message)

    async def send(self, message: dict[str, Any]) -> None:
        """Send a message of RTVI's."""
        frame = OutputTransportMessageUrgentFrame(message=message)
        if self.client and (data := await self._protobuf.serialize(frame)):
            await self.client.send(data)

    async def audio(self, pcm: bytes) -> bytes:
        """Return a packet as it travels."""
        frame = OutputAudioRawFrame(audio=pcm, sample_rate=SAMPLE_RATE, num_channels=1)
        packet = await self._protobuf.serialize(frame)
        assert isinstance(packet, bytes)
        return packet

    async def _message(self, message: object) -> Frame | None:
        if len(json.dumps(message)) > MAX_TEXT:
            self._reject("a long message")
            return None
        answers, ours = self._protocol.read(message)
        for answer in answers:
            await self.send(answer)
        return InputTransportMessageFrame(message=ours) if ours else None

    def _reject(self, what: str) -> None:
        self.malformed += 1
        if self.malformed <= 3:
            logger.warning("ignored a client's message: {}", what)


class RtviOutput(StreamOutput):
    """The agent's voice, and what is told of it."""

    _transport: "RtviTransport"

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Tell the client of tools that run."""
        await super().process_frame(frame, direction)
        if direction is not FrameDirection.DOWNSTREAM:
            return
        protocol, serializer = self._transport.protocol, self._transport.serializer
        match frame:
            case FunctionCallsStartedFrame():
                for call in frame.function_calls:
                    await serializer.send(protocol.called(call.tool_call_id))
            case FunctionCallResultFrame():
                await serializer.send(protocol.returned(frame.tool_call_id))

    async def send_packet(self, pcm: bytes) -> None:
        """Send a packet as Protobuf."""
        await self._client.send(await self._transport.serializer.audio(pcm))

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        """Send an event as RTVI has it."""
        if isinstance(frame.message, dict):
            for message in self._transport.protocol.told(frame.message):
                await self._transport.serializer.send(message)


class RtviTransport(FastAPIWebsocketTransport):
    """One accepted connection to `/v1/rtvi`."""

    def __init__(self, websocket: WebSocket, library: str) -> None:
        """Serve a connection.

        Args:
            websocket: Accepted.
            library: How the bot names itself.
        """
        self.protocol = RtviProtocol(library, time_now_iso8601)
        self.serializer = RtviSerializer(self.protocol)
        params = FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_sample_rate=SAMPLE_RATE,
            audio_out_10ms_chunks=2,
            audio_out_end_silence_secs=0,
            serializer=self.serializer,
        )
        super().__init__(websocket, params)
        self.serializer.client = self._client
        self._output = RtviOutput(self, self._client, params)
