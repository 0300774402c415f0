"""A telephone line as a Pipecat transport: what SIP and Asterisk's sockets have in common."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    InputAudioRawFrame,
    InputDTMFFrame,
    OutputAudioRawFrame,
    OutputDTMFFrame,
    OutputDTMFUrgentFrame,
    StartFrame,
)
from pipecat.transports.base_transport import BaseTransport, TransportParams

from agent.audio.chunk import Int16Array, samples
from agent.transports.phone.call import Call
from agent.transports.phone.recording import Recording
from agent.transports.straight import StraightInput, StraightOutput

_MOST_WAITING = 250
"""Chunks of the caller's audio that may wait for the pipeline, 5 s. Full, the oldest is dropped."""

LAST_SILENCE_S = 0.2
"""Sent behind the last word. A telephone's buffer holds back some 0.1 s, gives it out only as more
comes, and is thrown away with the call."""

_KEYS = {entry.value for entry in KeypadEntry}


class Told:
    """Who is told of a call's audio, keys, beginning and end: nobody at first. Keeps a recording.

    Args:
        recordings: Where calls are recorded; None forbids it.
    """

    call: Call
    sample_rate: int

    def __init__(self, recordings: Path | None = None) -> None:
        self._recordings = recordings
        self._recording: Recording | None = None
        self._on_audio: Callable[[Int16Array], None] = lambda pcm: None
        self._on_key: Callable[[str], None] = lambda key: None
        self._on_talking: Callable[[], None] = lambda: None
        self._on_over: Callable[[], None] = lambda: None

    def connect(
        self,
        *,
        on_audio: Callable[[Int16Array], None],
        on_key: Callable[[str], None],
        on_talking: Callable[[], None],
        on_over: Callable[[], None],
    ) -> None:
        """Say who is told of audio, keys, the beginning and the end of the conversation."""
        self._on_audio, self._on_key = on_audio, on_key
        self._on_talking, self._on_over = on_talking, on_over

    async def record(self) -> Path:
        """Keep what is said from now on until the line is cut; where it is kept."""
        assert self._recordings is not None
        if self._recording is None:
            self._recording = Recording(
                self._recordings, self.sample_rate, _now(), lambda: self.call.is_secret
            )
        return self._recording.path

    def _hear(self, pcm: Int16Array) -> None:
        """Audio of the other party's."""
        if self._recording and len(pcm):
            self._recording.caller(pcm, _now())
        self._on_audio(pcm)

    def _sent(self, pcm: bytes) -> None:
        """Audio of ours that has just left."""
        if self._recording:
            self._recording.left(np.frombuffer(pcm, np.int16), _now())

    def _stop_recording(self) -> None:
        """Nothing is kept from now on."""
        if self._recording:
            self._recording.close(_now())


class CallLine(Protocol):
    """Carries one call's audio and keys.

    Attributes:
        call: The call, as the agent sees it.
        sample_rate: Both ways, in Hz.
    """

    call: Call
    sample_rate: int

    def connect(
        self,
        *,
        on_audio: Callable[[Int16Array], None],
        on_key: Callable[[str], None],
        on_talking: Callable[[], None],
        on_over: Callable[[], None],
    ) -> None:
        """Say who is told of audio, keys, the beginning and the end of the conversation."""

    async def answer(self) -> None:
        """Take the call."""

    async def write(self, pcm: bytes) -> bool:
        """Queue audio, 16-bit mono; returns when the next packet is wanted."""

    async def drain(self) -> None:
        """Wait until everything written has left."""

    async def press(self, keys: str) -> None:
        """Press keys; returns when the last is up."""

    async def leave(self) -> None:
        """The conversation is over: hang up, unless the call goes on without us."""


class LineInput(StraightInput):
    """The caller's voice and keys."""

    def __init__(self, line: CallLine, params: TransportParams) -> None:
        super().__init__(params)
        self._line = line
        self._waiting: asyncio.Queue[Int16Array | str] = asyncio.Queue(_MOST_WAITING)
        self._reader: asyncio.Task[None] | None = None

    def take(self, item: Int16Array | str) -> None:
        """Take audio or a key from the line."""
        if self._waiting.full():
            self._waiting.get_nowait()
        self._waiting.put_nowait(item)

    async def start(self, frame: StartFrame) -> None:
        """Listen, then take the call: nobody shall speak before he is heard."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        if self._reader is None:
            self._reader = self.create_task(self._read())
            await self._line.answer()

    async def stop(self, frame: EndFrame) -> None:
        """Stop listening; the output hangs up, once all was said."""
        await super().stop(frame)
        await self._leave()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop listening at once."""
        await super().cancel(frame)
        await self._leave()

    async def cleanup(self) -> None:
        """Leave, if that did not happen yet."""
        await super().cleanup()
        await self._leave()

    async def _leave(self) -> None:
        if self._reader:
            reader, self._reader = self._reader, None
            await self.cancel_task(reader)

    async def _read(self) -> None:
        while True:
            audio = bytearray()
            item = await self._waiting.get()
            # Who is behind catches up with what has come meanwhile at once, which costs little
            # more than one packet of it.
            while not isinstance(item, str):
                audio += item.tobytes()
                if self._waiting.empty():
                    break
                item = self._waiting.get_nowait()
            if audio:
                await self.push_audio_frame(
                    InputAudioRawFrame(
                        audio=bytes(audio), sample_rate=self._line.sample_rate, num_channels=1
                    )
                )
            if isinstance(item, str) and item in _KEYS:
                await self.push_frame(InputDTMFFrame(button=KeypadEntry(item)))


class LineOutput(StraightOutput):
    """The agent's voice and keys."""

    def __init__(self, line: CallLine, params: TransportParams) -> None:
        # Waits for nothing but the end: see `processors`.
        super().__init__(params, enable_direct_mode=True)
        self._line = line

    async def start(self, frame: StartFrame) -> None:
        """Begin to speak."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """Hang up when what was said has been heard."""
        await super().stop(frame)
        await self._line.leave()

    async def cancel(self, frame: CancelFrame) -> None:
        """Hang up at once."""
        await super().cancel(frame)
        await self._line.leave()

    async def cleanup(self) -> None:
        """Hang up, if that did not happen yet."""
        await super().cleanup()
        await self._line.leave()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Queue audio; returns when the next packet is wanted."""
        return await self._line.write(frame.audio)

    async def _send_last(self, frame: EndFrame) -> None:
        await super()._send_last(frame)
        await self._line.write(bytes(2 * samples(LAST_SILENCE_S, self._line.sample_rate)))
        await self._line.drain()

    def _supports_native_dtmf(self) -> bool:
        return self._line.call.capabilities.dtmf_out

    async def _write_dtmf_native(self, frame: OutputDTMFFrame | OutputDTMFUrgentFrame) -> None:
        pressing = self._line.press(frame.to_string())
        if isinstance(frame, OutputDTMFUrgentFrame):
            # Beside the speech, and nobody waits for it.
            self.create_task(pressing)
        else:
            await pressing


class LineTransport(BaseTransport):
    """One call."""

    def __init__(self, line: CallLine) -> None:
        """Put a line in front of a pipeline, which takes the call when it starts."""
        super().__init__()
        params = TransportParams(
            audio_in_enabled=True,
            audio_in_sample_rate=line.sample_rate,
            audio_out_enabled=True,
            audio_out_sample_rate=line.sample_rate,
            audio_out_10ms_chunks=2,
            audio_out_end_silence_secs=0,
        )
        self.call = line.call
        self._input = LineInput(line, params)
        self._output = LineOutput(line, params)
        self._tasks: set[asyncio.Task[Any]] = set()
        # Who hangs up does not come back, so nobody is ever told of one who is away.
        for event in ("on_client_connected", "on_client_away", "on_client_disconnected"):
            self._register_event_handler(event)
        line.connect(
            on_audio=self._input.take,
            on_key=self._on_key,
            on_talking=lambda: self._tell("on_client_connected"),
            on_over=self._on_over,
        )

    def input(self) -> LineInput:
        """The caller's end."""
        return self._input

    def output(self) -> LineOutput:
        """The agent's end."""
        return self._output

    def _on_key(self, key: str) -> None:
        # Of a number that is asked for: nobody else along the pipeline may see it.
        if not self.call.is_entering:
            self._input.take(key)
        self.call.pressed(key)

    def _on_over(self) -> None:
        self.call.ended()
        self._tell("on_client_disconnected")

    def _tell(self, event: str) -> None:
        task = asyncio.ensure_future(self._call_event_handler(event, self.call.facts.id))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _now() -> float:
    return asyncio.get_running_loop().time()
