"""Audio that goes into the pipeline, and out of it, as it comes."""

import asyncio
from collections.abc import AsyncGenerator

from loguru import logger
from pipecat.frames.frames import (
    EndFrame,
    Frame,
    InputAudioRawFrame,
    OutputAudioRawFrame,
    OutputTransportReadyFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport

from agent.stage import Stage

_SILENT_S = 3.0
"""Without a packet for so long, speech has stopped, though nobody said so."""

_STUCK_S = 5.0
"""A line that takes no packet for so long, once the conversation has ended, is not waited for."""


class StraightInput(Stage, BaseInputTransport):
    """An input whose audio is pushed at once, by the one task that reads it.

    Pipecat puts it into a queue first, for a filter and a turn detector that are not here. Taking
    it out again with a time limit costs a task for every packet, fifty a second for each caller,
    and lets what the client says beside its audio overtake it.
    """

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Push audio, unless the transport is paused."""
        if self._params.audio_in_enabled and not self._paused and frame.audio:
            await self.push_frame(frame)


class StraightOutput(Stage, BaseOutputTransport):
    """An output that waits for its line as long as the line stands.

    Pipecat allows a write ten seconds and then writes no more, for good: who had us on hold for
    longer, or rode through a tunnel, would come back to silence. Who is gone is noticed by each
    transport itself. Nor does a limit come free: two of them for each packet were two tasks.
    """

    _packets_taken = 0

    async def set_transport_ready(self, frame: StartFrame) -> None:
        """Begin to send; there is one destination."""
        sender = _Sender(
            self,
            destination=None,
            sample_rate=self.sample_rate,
            audio_chunk_size=self.audio_chunk_size,
            params=self._params,
        )
        self._media_senders[None] = sender
        await sender.start(frame)
        await self.push_frame(OutputTransportReadyFrame(), FrameDirection.UPSTREAM)

    async def stop(self, frame: EndFrame) -> None:
        """Stop when what was said has left, or if the line takes nothing of it any more."""
        ending = asyncio.ensure_future(self._send_last(frame))
        try:
            while not ending.done():
                before = self._packets_taken
                await asyncio.wait([ending], timeout=_STUCK_S)
                if self._packets_taken == before and not ending.done():
                    logger.info("{}: the line takes nothing, and its last packets are lost", self)
                    return
            await ending
        finally:
            ending.cancel()
            await asyncio.wait([ending])

    async def _send_last(self, frame: EndFrame) -> None:
        """Send what is left."""
        await super().stop(frame)

    async def written(self, frame: OutputAudioRawFrame) -> bool:
        """Give the line a packet; whether it has taken it."""
        is_taken = self.is_usable and await self.write_audio_frame(frame)
        self._packets_taken += is_taken
        return is_taken


class _Sender(BaseOutputTransport.MediaSender):
    """Pipecat's, but for the limits."""

    async def handle_audio_frame(self, frame: OutputAudioRawFrame) -> None:
        """Queue a packet as it is, if it is one: ours are, and come fifty times a second."""
        is_packet = len(frame.audio) == self._audio_chunk_size and not self._audio_runs
        if is_packet and frame.sample_rate == self._sample_rate:
            await self._audio_queue.put(frame)
        else:
            await super().handle_audio_frame(frame)

    def _next_frame(self) -> AsyncGenerator[Frame, None]:
        return super()._next_frame() if self._mixer else self._frames()

    async def _frames(self) -> AsyncGenerator[Frame, None]:
        while True:
            frame = await self._waited_for()
            if frame is None:
                await self._bot_stopped_speaking()
                continue
            await self._filter_audio(frame)
            self._apply_volume(frame)
            yield frame
            self._audio_queue.task_done()

    async def _waited_for(self) -> Frame | None:
        """What is to be sent next; None if speech has stopped."""
        is_limited = self._bot_speaking and self._audio_queue.empty()
        try:
            async with asyncio.timeout(_SILENT_S if is_limited else None):
                frame: Frame = await self._audio_queue.get()
        except TimeoutError:
            return None
        return frame

    async def _internal_write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        assert isinstance(self._transport, StraightOutput)
        return await self._transport.written(frame)
