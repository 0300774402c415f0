"""The caller's end of a provider's stream."""

import asyncio
from collections.abc import Awaitable, Callable

import numpy as np
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    InputAudioRawFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.transports.base_transport import TransportParams

from agent.audio.chunk import Int16Array, samples
from agent.transports.phone.connection import Connection
from agent.transports.phone.playback import Report
from agent.transports.phone.wire import (
    AllPlayed,
    Event,
    Key,
    MalformedError,
    Media,
    Played,
    Stopped,
)
from agent.transports.straight import StraightInput

_TICK_S = 0.1
_SILENT_S = 0.3
"""After so long without packets the caller is taken as silent, or an open turn would never end."""


class PhoneInput(StraightInput):
    """The caller's voice and keys, and what the provider says of the agent's voice."""

    def __init__(
        self,
        params: TransportParams,
        connection: Connection,
        on_key: Callable[[str], None],
        on_report: Callable[[Report], Awaitable[None]],
        on_open: Callable[[], Awaitable[None]],
        on_gone: Callable[[], Awaitable[None]],
    ) -> None:
        super().__init__(params)
        self._connection = connection
        self._on_key, self._on_report = on_key, on_report
        self._on_open, self._on_gone = on_open, on_gone
        self._reader: asyncio.Task[None] | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._silent_s = self._filled_s = 0.0
        self._listens = True

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Make the serializer ready."""
        await super().setup(setup)
        await self._connection.stream.serializer.setup(setup)

    async def start(self, frame: StartFrame) -> None:
        """Begin to listen."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        self._reader = self.create_task(self._read())
        self._ticker = self.create_task(self._tick())
        await self._on_open()

    async def stop(self, frame: EndFrame) -> None:
        """Hear the caller no more; marks are still read, the farewell may be under way."""
        await super().stop(frame)
        self._listens = False

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop at once."""
        await super().cancel(frame)
        self._listens = False

    async def cleanup(self) -> None:
        """Stop reading."""
        await super().cleanup()
        self._listens = False
        for task in (self._reader, self._ticker):
            if task:
                await self.cancel_task(task)
        self._reader = self._ticker = None

    async def _read(self) -> None:
        connection = self._connection
        while (data := await connection.line.receive()) is not None:
            try:
                event = connection.stream.read(data)
            except MalformedError as error:
                connection.reject(error)
                continue
            answer = await connection.stream.reply(data)
            if answer:
                await connection.line.send(answer)
            if isinstance(event, Stopped):
                break
            await self._on_event(event, data)
        connection.gone.set()
        connection.progress.set()
        connection.stop_recording(self._now())
        if not connection.is_closing:
            await self._on_gone()

    async def _on_event(self, event: Event, data: str | bytes) -> None:
        connection = self._connection
        match event:
            case Media():
                await self._on_media(event, data)
            case Key():
                self._on_key(event.key)
            case Played():
                if report := connection.clock.played(event.mark):
                    connection.progress.set()
                    await self._on_report(report)
            case AllPlayed():
                connection.clock.all_played(self._now())
                connection.progress.set()

    async def _on_media(self, media: Media, data: str | bytes) -> None:
        connection = self._connection
        frame = await connection.stream.serializer.deserialize(data)
        if not isinstance(frame, InputAudioRawFrame):
            return
        self._silent_s = self._filled_s = 0.0
        pcm = np.frombuffer(frame.audio, np.int16)
        await self._push(connection.inbound.push(media.sequence, pcm, self._now()))

    async def _tick(self) -> None:
        """Fill in what does not come: those who wait for silence must get it."""
        while True:
            asked_s = self._now()
            await asyncio.sleep(_TICK_S)
            # A loop that stood still has packets waiting in the socket: that time is not silence.
            self._silent_s += min(self._now() - asked_s, 2 * _TICK_S)
            if self._silent_s >= _SILENT_S:
                overdue_s = self._silent_s - _TICK_S - self._filled_s
                self._filled_s += overdue_s
                connection = self._connection
                await self._push(connection.inbound.overdue(samples(overdue_s, connection.rate)))

    async def _push(self, pcm: Int16Array) -> None:
        if recording := self._connection.recording:
            recording.caller(pcm, self._now())
        if len(pcm) and self._listens:
            await self.push_audio_frame(
                InputAudioRawFrame(
                    audio=pcm.tobytes(), sample_rate=self._connection.rate, num_channels=1
                )
            )

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
