"""A transport without a network: a test, a replay or a benchmark is the client.

Its output takes audio as fast as it would sound, by the event loop's clock, so a loop with a
virtual clock makes a conversation run in no time.
"""

import asyncio
from typing import Any

import numpy as np
from pipecat.frames.frames import (
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
)
from pipecat.transports.base_transport import BaseTransport, TransportParams

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.transports.straight import StraightInput, StraightOutput


class MemoryInput(StraightInput):
    """Audio and messages the client pushes in."""

    def __init__(self, params: TransportParams, sample_rate: int) -> None:
        super().__init__(params)
        self._client_rate = sample_rate
        self.ready = asyncio.Event()

    async def start(self, frame: StartFrame) -> None:
        """Begin to take audio."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        self.ready.set()

    async def speak(self, pcm: Int16Array) -> None:
        """Push audio: shape (n,), int16, mono, at the client's rate."""
        await self.push_audio_frame(
            InputAudioRawFrame(audio=pcm.tobytes(), sample_rate=self._client_rate, num_channels=1)
        )

    async def send(self, message: dict[str, Any]) -> None:
        """Push a message as a data channel would."""
        await self.push_frame(InputTransportMessageFrame(message=message))


class MemoryOutput(StraightOutput):
    """Records the agent's audio where it sounds on the client's clock, and its messages."""

    def __init__(self, params: TransportParams) -> None:
        super().__init__(params)
        self._free_at = 0.0
        self.origin_s = 0.0
        self.packets: list[tuple[float, Int16Array]] = []
        self.messages: list[tuple[float, Any]] = []
        self.arrived = asyncio.Event()

    async def start(self, frame: StartFrame) -> None:
        """Begin to take audio."""
        await super().start(frame)
        self.origin_s = self._now()
        await self.set_transport_ready(frame)

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Take a packet once the one before it has sounded."""
        now = self._now()
        if self._free_at > now:
            await asyncio.sleep(self._free_at - now)
        sounds_at = max(self._free_at, now)
        pcm = np.frombuffer(frame.audio, np.int16)
        self.packets.append((sounds_at - self.origin_s, pcm))
        self._free_at = sounds_at + len(pcm) / frame.sample_rate
        return True

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        """Keep a message with its time."""
        self.messages.append((self._now() - self.origin_s, frame.message))
        self.arrived.set()

    def recording(self) -> Int16Array:
        """The agent's audio as it sounded, silence between, from the session's start."""
        rate = self.sample_rate
        length = max((round(at * rate) + len(pcm) for at, pcm in self.packets), default=0)
        track = np.zeros(length, np.int16)
        for at, pcm in self.packets:
            start = round(at * rate)
            track[start : start + len(pcm)] = pcm
        return track

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class MemoryTransport(BaseTransport):
    """Both ends in one process."""

    def __init__(self, sample_rate: int = SAMPLE_RATE) -> None:
        """Connect.

        Args:
            sample_rate: Of the audio the client pushes in, in Hz.
        """
        super().__init__()
        params = TransportParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_10ms_chunks=2,
            audio_out_end_silence_secs=0,
        )
        self._input = MemoryInput(params, sample_rate)
        self._output = MemoryOutput(params)

    def input(self) -> MemoryInput:
        """The client's microphone."""
        return self._input

    def output(self) -> MemoryOutput:
        """The client's loudspeaker."""
        return self._output
