"""The plain WebSocket for programs, `/v1/stream`: PCM both ways, JSON beside it.

Binary messages are PCM16, mono, little-endian, at one agreed rate; text messages are JSON objects.
A message that is neither is counted and survived.
"""

import asyncio
import json
from typing import Any, cast

from fastapi import WebSocket
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.serializers.base_serializer import FrameSerializer
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketInputTransport,
    FastAPIWebsocketOutputTransport,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)

from agent.transports.rejoin import RejoinableSocket
from agent.transports.straight import StraightInput, StraightOutput

LEAD_S = 0.2
"""Audio the client may hold: rides out a late packet on a TCP connection."""

MAX_TEXT = 64 * 1024
"""Characters of one JSON message."""

MAX_AUDIO = 256 * 1024
"""Bytes of one audio message: 2.7 s at 48 kHz. More is not a live stream."""


class StreamSerializer(FrameSerializer):
    """Between the wire and frames, for one connection."""

    def __init__(self, sample_rate: int) -> None:
        """Begin a connection.

        Args:
            sample_rate: Both ways, in Hz.
        """
        super().__init__()
        self._rate = sample_rate
        self._odd = b""
        self.malformed = 0

    def restart(self) -> None:
        """Another connection goes on with this one."""
        self._odd = b""

    async def serialize(self, frame: Frame) -> str | bytes | None:
        """Audio as bytes, messages as JSON text; the rest does not travel."""
        if isinstance(frame, OutputAudioRawFrame):
            return frame.audio
        if isinstance(frame, OutputTransportMessageFrame | OutputTransportMessageUrgentFrame):
            return json.dumps(frame.message, ensure_ascii=False, separators=(",", ":"))
        return None

    async def deserialize(self, data: str | bytes) -> Frame | None:
        """A frame, or None for what cannot be understood."""
        return self._audio(data) if isinstance(data, bytes) else self._message(data)

    def _audio(self, data: bytes) -> Frame | None:
        if len(data) > MAX_AUDIO:
            self._reject(f"{len(data)} bytes of audio in one message")
            return None
        # A sample may be split across messages by a careless sender; its half waits.
        data = self._odd + data
        whole = len(data) & ~1
        self._odd = data[whole:]
        if not whole:
            return None
        return InputAudioRawFrame(audio=data[:whole], sample_rate=self._rate, num_channels=1)

    def _message(self, text: str) -> Frame | None:
        if len(text) > MAX_TEXT:
            self._reject(f"{len(text)} characters of JSON in one message")
            return None
        try:
            message: Any = json.loads(text)
        except (ValueError, RecursionError):
            message = None
        if not isinstance(message, dict):
            self._reject("text that is not a JSON object")
            return None
        return InputTransportMessageFrame(message=message)

    def _reject(self, what: str) -> None:
        self.malformed += 1
        # The first few tell the operator what is wrong; a flood must not fill the disk.
        if self.malformed <= 3:
            logger.warning("ignored a client's message: {}", what)


class StreamInput(StraightInput, FastAPIWebsocketInputTransport):
    """The client's audio and messages, in the order in which they were sent."""


class StreamOutput(StraightOutput, FastAPIWebsocketOutputTransport):
    """Sends at the pace of speech, a little ahead.

    Pipecat's own pacing sends twice as fast as speech, so the client's queue would grow with the
    answer, and with it what a barge-in must throw away.
    """

    _free_at = 0.0

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Send a packet as soon as the client's queue is down to `LEAD_S`."""
        loop = asyncio.get_running_loop()
        ahead = self._free_at - loop.time()
        if ahead > LEAD_S:
            await asyncio.sleep(ahead - LEAD_S)
        if self._client.is_closing or not self._client.is_connected:
            return False
        await self.send_packet(frame.audio)
        length_s = len(frame.audio) / (2 * frame.num_channels * frame.sample_rate)
        self._free_at = max(self._free_at, loop.time()) + length_s
        return True

    async def send_packet(self, pcm: bytes) -> None:
        """Send a packet as it travels."""
        await self._client.send(pcm)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """As Pipecat's; after an interruption the client's queue is empty."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            self.emptied()

    def emptied(self) -> None:
        """The client's queue is empty."""
        self._free_at = 0.0


class StreamTransport(FastAPIWebsocketTransport):
    """One accepted connection to `/v1/stream`."""

    def __init__(self, websocket: WebSocket, sample_rate: int, *, rejoin_s: float = 0.0) -> None:
        """Serve a connection.

        Args:
            websocket: Accepted.
            sample_rate: Both ways, in Hz.
            rejoin_s: How long a client that was lost may take to come back.
        """
        self.sample_rate = sample_rate
        self.socket = RejoinableSocket(websocket, rejoin_s)
        self._serializer = StreamSerializer(sample_rate)
        params = FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_in_sample_rate=sample_rate,
            audio_out_enabled=True,
            audio_out_sample_rate=sample_rate,
            audio_out_10ms_chunks=2,
            audio_out_end_silence_secs=0,
            serializer=self._serializer,
        )
        super().__init__(cast("WebSocket", self.socket), params)
        self._input: FastAPIWebsocketInputTransport = StreamInput(self, self._client, params)
        self._output: StreamOutput = StreamOutput(self, self._client, params)

    def join(self, websocket: WebSocket) -> bool:
        """Go on with another accepted socket; False if it is too late."""
        # Its queue is empty, and it begins with a whole sample.
        self._output.emptied()
        self._serializer.restart()
        return self.socket.join(websocket)
