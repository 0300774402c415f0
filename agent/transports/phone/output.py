"""The agent's end of a provider's stream."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable

import numpy as np
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputDTMFUrgentFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_transport import TransportParams

from agent.audio.chunk import samples
from agent.transports.line import LAST_SILENCE_S
from agent.transports.phone.connection import NETWORK_S, Connection
from agent.transports.phone.playback import Report
from agent.transports.straight import StraightOutput

_FLUSH_S = 0.06
"""Speech that does not fill a packet leaves after three packets' time without more of it."""

_LAST_MARK_S = 1.0
"""How much later than expected the last mark may come before we hang up all the same."""


class PhoneOutput(StraightOutput):
    """The agent's voice: paced, cleared when interrupted, heard to its end before the line goes."""

    def __init__(
        self,
        params: TransportParams,
        connection: Connection,
        hang_up: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(params)
        self._connection = connection
        self._hang_up = hang_up
        self._packet = 2 * samples(connection.stream.packet_s, connection.rate)
        self._held = bytearray()
        self._held_speech = 0
        self._free_at = 0.0
        self._generation = 0
        self._written = asyncio.Event()
        self._writing = asyncio.Lock()
        self._flusher: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        """Begin to speak."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._flusher = self.create_task(self._flush_what_is_left())

    async def stop(self, frame: EndFrame) -> None:
        """Hang up when what was said has been heard."""
        await super().stop(frame)
        await self._drain()
        await self._hang_up()

    async def cancel(self, frame: CancelFrame) -> None:
        """Hang up at once."""
        await super().cancel(frame)
        await self._hang_up()

    async def cleanup(self) -> None:
        """Leave nothing open."""
        await super().cleanup()
        if self._flusher:
            await self.cancel_task(self._flusher)
            self._flusher = None
        await self._hang_up()

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """As Pipecat's; an interruption also empties what the provider holds."""
        await super().process_frame(frame, direction)
        if isinstance(frame, InterruptionFrame):
            await self._clear(frame)

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        """Nothing: a telephone shows no transcript, and a provider must not be sent one."""

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Send audio as soon as the provider holds less than its lead."""
        generation = self._generation
        async with self._writing:
            await self._wait_for_room(len(frame.audio))
            # Cleared meanwhile: this packet belongs to what was thrown away.
            if generation != self._generation or self._connection.gone.is_set():
                return False
            self._held += frame.audio
            if isinstance(frame, TTSAudioRawFrame):
                self._held_speech += len(frame.audio) // 2
            await self._send_packets()
            self._written.set()
        return True

    async def report(self, report: Report) -> None:
        """Tell playout what has been heard."""
        await self.push_frame(
            InputTransportMessageFrame(message=report.message()), FrameDirection.UPSTREAM
        )

    async def press(self, digits: str) -> None:
        """Press keys: by messages where the provider has them, else by their tones."""
        messages = self._connection.stream.keys(digits)
        if messages is None:
            buttons = [KeypadEntry(digit) for digit in digits]
            await self.write_dtmf(OutputDTMFUrgentFrame(buttons=buttons))
            return
        for message in messages:
            await self._connection.line.send(message)

    async def _wait_for_room(self, size: int) -> None:
        held_s = (len(self._held) + size) / (2 * self._connection.rate)
        ahead_s = self._free_at - self._now() + held_s
        if self._free_at and ahead_s > self._connection.stream.lead_s:
            await asyncio.sleep(ahead_s - self._connection.stream.lead_s)

    async def _send_packets(self) -> None:
        """Send as much of what is held as fills packets."""
        while len(self._held) >= self._packet:
            await self._send(bytes(self._held[: self._packet]))

    async def _send(self, packet: bytes) -> None:
        """Send the oldest of what is held; `packet` may be longer, filled up with silence."""
        connection, now_s = self._connection, self._now()
        speech = min(self._held_speech, len(packet) // 2)
        del self._held[: len(packet)]
        self._held_speech -= speech
        if speech and (report := connection.clock.starting(now_s)):
            await self.report(report)
        data = await connection.stream.audio(packet, connection.rate)
        if data:
            await connection.line.send(data)
        if connection.recording:
            pcm = np.frombuffer(packet, np.int16)
            connection.recording.agent(pcm, max(self._free_at, now_s))
        self._free_at = max(self._free_at, now_s) + len(packet) / (2 * connection.rate)
        if mark := connection.clock.sent(speech, now_s):
            await self._send_mark(mark)

    async def _send_mark(self, mark: str) -> None:
        message = self._connection.stream.mark(mark)
        if message:
            await self._connection.line.send(message)

    async def _flush_what_is_left(self) -> None:
        """Send the end of a response that fills no packet."""
        while True:
            await self._written.wait()
            self._written.clear()
            await asyncio.sleep(_FLUSH_S)
            if not self._written.is_set():
                async with self._writing:
                    await self._flush()

    async def _flush(self) -> None:
        if self._held:
            await self._send(bytes(self._held).ljust(self._packet, b"\0"))

    async def _clear(self, frame: InterruptionFrame) -> None:
        connection = self._connection
        self._generation += 1
        self._held.clear()
        self._held_speech = 0
        self._free_at = 0.0
        message = await connection.stream.serializer.serialize(frame)
        if message:
            await connection.line.send(message)
        if connection.recording:
            connection.recording.cleared(self._now())
        if report := connection.clock.cleared(self._now()):
            await self.report(report)

    async def _drain(self) -> None:
        """Wait until the last word has sounded at the other end."""
        connection = self._connection
        if not self._free_at and not self._held:
            return  # Nothing was said, or all of it was cleared.
        async with self._writing:
            self._held += bytes(2 * samples(LAST_SILENCE_S, connection.rate))
            await self._send_packets()
            await self._flush()
        if mark := connection.clock.last_mark():
            await self._send_mark(mark)
        left_s = max(0.0, self._free_at - self._now())
        has_marks = connection.stream.capabilities.mark
        deadline = self._now() + left_s + (_LAST_MARK_S if has_marks else NETWORK_S)
        while not connection.clock.is_drained and not connection.gone.is_set():
            connection.progress.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await connection.progress.wait()
            except TimeoutError:
                return
        # The marks told of the last word; now the silence behind it plays.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LAST_SILENCE_S):
                await connection.gone.wait()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
