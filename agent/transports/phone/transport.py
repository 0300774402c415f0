"""A provider's media stream as a Pipecat transport."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np
from loguru import logger
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    CancelFrame,
    EndFrame,
    Frame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    InterruptionFrame,
    OutputAudioRawFrame,
    OutputDTMFUrgentFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection, FrameProcessorSetup
from pipecat.transports.base_input import BaseInputTransport
from pipecat.transports.base_output import BaseOutputTransport
from pipecat.transports.base_transport import BaseTransport, TransportParams

from agent.audio.chunk import Int16Array, samples
from agent.transports.phone.call import Call, CallFacts, Sound
from agent.transports.phone.inbound import InboundAudio
from agent.transports.phone.line import Line
from agent.transports.phone.playback import PlaybackClock, Report
from agent.transports.phone.providers.stream import MediaStream
from agent.transports.phone.recording import Recording
from agent.transports.phone.wire import (
    AllPlayed,
    Event,
    Key,
    MalformedError,
    Media,
    Played,
    Started,
    Stopped,
)

_NETWORK_S = 0.1
"""From us to the caller's ear, beside what the provider holds: one way over the internet, and the
telephone network's own buffers. An estimate; used only where the provider sends no marks."""

_TICK_S = 0.1
_SILENT_S = 0.3
"""After so long without packets the caller is taken as silent, or an open turn would never end."""

_FLUSH_S = 0.06
"""Speech that does not fill a packet leaves after three packets' time without more of it."""

_LAST_MARK_S = 1.0
"""How much later than expected the last mark may come before we hang up all the same."""

_CLOSE_S = 3.0
"""How long a provider that closes the stream itself may take."""

_LONGEST_START_S = 5.0
_MOST_BEFORE_START = 16


class NeverStartedError(Exception):
    """The peer said nothing that begins a stream."""


class Rest(Protocol):
    """What a provider does with a call on request, beside its media stream."""

    async def hang_up(self, call_id: str) -> None:
        """End the call."""

    async def transfer(self, call_id: str, to: str) -> None:
        """Connect the caller to another number."""


async def opened(line: Line, stream: MediaStream) -> Started:
    """Wait for the start of a stream.

    Raises:
        NeverStartedError: It did not come in five seconds or sixteen messages.
    """
    try:
        async with asyncio.timeout(_LONGEST_START_S):
            for _ in range(_MOST_BEFORE_START):
                data = await line.receive()
                if data is None:
                    raise NeverStartedError("the peer left")
                try:
                    event = stream.read(data)
                except MalformedError as error:
                    logger.warning("{}: {}", stream.name, error)
                    continue
                answer = await stream.reply(data)
                if answer:
                    await line.send(answer)
                if isinstance(event, Started):
                    return event
    except TimeoutError:
        pass
    raise NeverStartedError("no start within the time and messages allowed")


@dataclass(slots=True, eq=False)
class Connection:
    """What both directions of a stream share."""

    line: Line
    stream: MediaStream
    started: Started
    inbound: InboundAudio
    clock: PlaybackClock
    malformed: int = 0
    is_closing: bool = False
    recording: Recording | None = None
    progress: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rate(self) -> int:
        """Sample rate both ways, in Hz."""
        return self.started.sample_rate

    def stop_recording(self, now_s: float) -> None:
        """Nothing is kept from now on."""
        if self.recording:
            self.recording.close(now_s)

    def reject(self, why: MalformedError) -> None:
        """Count a message that says nothing."""
        self.malformed += 1
        # The first few tell the operator what is wrong; a flood must not fill the disk.
        if self.malformed <= 3:
            logger.warning("{}: ignored {}", self.stream.name, why)


class PhoneInput(BaseInputTransport):
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


class PhoneOutput(BaseOutputTransport):
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
            while len(self._held) >= self._packet:
                await self._send(bytes(self._held[: self._packet]))
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
        async with self._writing:
            await self._flush()
        if mark := connection.clock.last_mark():
            await self._send_mark(mark)
        left_s = max(0.0, self._free_at - self._now())
        has_marks = connection.stream.capabilities.mark
        deadline = self._now() + left_s + (_LAST_MARK_S if has_marks else _NETWORK_S)
        while not connection.clock.is_drained and not connection.gone.is_set():
            connection.progress.clear()
            try:
                async with asyncio.timeout_at(deadline):
                    await connection.progress.wait()
            except TimeoutError:
                return

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


class PhoneTransport(BaseTransport):
    """One call over a provider's media stream.

    Events, as Pipecat's transports name them: `on_client_connected(transport, call)`, and
    `on_client_disconnected(transport, call)` when the caller hung up.
    """

    def __init__(
        self,
        line: Line,
        stream: MediaStream,
        facts: CallFacts,
        *,
        rest: Rest | None = None,
        transfer_to: frozenset[str] = frozenset(),
        recordings: Path | None = None,
    ) -> None:
        """Take over a stream that has started.

        Args:
            line: Accepted.
            stream: That has read its start.
            facts: What is known of the call.
            rest: The provider's requests, where credentials for them are set.
            transfer_to: The only numbers it may be transferred to.
            recordings: Where calls are recorded; None forbids it.
        """
        super().__init__()
        started = stream.started
        assert started is not None
        rate = started.sample_rate
        self._recordings = recordings
        can_transfer = stream.capabilities.transfer and (rest is not None or stream.says_farewell)
        self.call = Call(
            facts,
            replace(stream.capabilities, transfer=can_transfer, record=recordings is not None),
            _Control(self),
            Sound(rate, stream.lead_s + _NETWORK_S),
            transfer_to,
        )
        self._rest = rest
        self._transferred_to: str | None = None
        clock = PlaybackClock(rate, has_marks=stream.capabilities.mark)
        self.connection = Connection(line, stream, started, InboundAudio(rate), clock)
        params = TransportParams(
            audio_in_enabled=True,
            audio_in_sample_rate=rate,
            audio_out_enabled=True,
            audio_out_sample_rate=rate,
            audio_out_10ms_chunks=2,
            audio_out_end_silence_secs=0,
        )
        self._output = PhoneOutput(params, self.connection, self.hang_up)
        self._input = PhoneInput(
            params,
            self.connection,
            self.call.pressed,
            self._output.report,
            self._on_open,
            self._on_gone,
        )
        self._register_event_handler("on_client_connected")
        self._register_event_handler("on_client_disconnected")

    def input(self) -> PhoneInput:
        """The caller's end."""
        return self._input

    def output(self) -> PhoneOutput:
        """The agent's end."""
        return self._output

    async def hang_up(self) -> None:
        """Close the stream, and the call with it. Nothing if it is closed."""
        connection = self.connection
        if connection.is_closing:
            return
        connection.is_closing = True
        connection.stop_recording(asyncio.get_running_loop().time())
        if not connection.gone.is_set():
            await self._take_leave()
        await connection.line.close()
        self.call.ended()
        logger.info(
            "call on {} over: {} malformed, {} lost, {} late, {} reordered at most, {} flooded",
            connection.stream.name,
            connection.malformed,
            connection.inbound.stats.lost,
            connection.inbound.stats.late,
            connection.inbound.stats.longest_hold,
            connection.inbound.flooded,
        )

    async def transfer(self, to: str) -> None:
        """Connect the caller elsewhere; the conversation ends."""
        if self._rest is not None:
            await self._rest.transfer(self.call.facts.id, to)
        self._transferred_to = to

    def record(self) -> Path:
        """Keep what is said from now on until the line is cut; where it is kept."""
        assert self._recordings is not None
        connection = self.connection
        if connection.recording is None:
            now_s = asyncio.get_running_loop().time()
            connection.recording = Recording(self._recordings, connection.rate, now_s)
        return connection.recording.path

    async def _take_leave(self) -> None:
        connection = self.connection
        message = await connection.stream.farewell(self._transferred_to)
        if message:
            # The peer closes, once it has taken note.
            await connection.line.send(message)
            try:
                async with asyncio.timeout(_CLOSE_S):
                    await connection.gone.wait()
            except TimeoutError:
                logger.warning("{} did not close the stream", connection.stream.name)
        if self._rest is not None and self._transferred_to is None:
            await self._rest.hang_up(self.call.facts.id)

    async def _on_open(self) -> None:
        await self._call_event_handler("on_client_connected", self.call)

    async def _on_gone(self) -> None:
        self.call.ended()
        await self._call_event_handler("on_client_disconnected", self.call)


@dataclass(frozen=True, slots=True)
class _Control:
    """`CallControl` over a transport."""

    _transport: PhoneTransport

    async def hang_up(self) -> None:
        await self._transport.hang_up()

    async def transfer(self, to: str) -> None:
        await self._transport.transfer(to)

    async def send_dtmf(self, digits: str) -> None:
        await self._transport.output().press(digits)

    async def record(self) -> Path:
        return self._transport.record()

    async def hold(self) -> None:
        raise NotImplementedError("no media stream has a hold")

    async def resume(self) -> None:
        raise NotImplementedError("no media stream has a hold")
