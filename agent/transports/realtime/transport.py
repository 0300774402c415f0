"""The Realtime protocol as a Pipecat transport: a thin shell around `RealtimeProtocol`."""

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass

from fastapi import WebSocket
from pipecat.frames.frames import (
    ControlFrame,
    DataFrame,
    EndFrame,
    Frame,
    FunctionCallsStartedFrame,
    InputAudioRawFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
    SystemFrame,
    TTSAudioRawFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.transports.websocket.fastapi import (
    FastAPIWebsocketInputTransport,
    FastAPIWebsocketParams,
    FastAPIWebsocketTransport,
)

from agent.transports.realtime.commands import Command, EndTurn, Hear, Interrupt
from agent.transports.realtime.configuration import FORMATS
from agent.transports.realtime.protocol import RealtimeProtocol
from agent.transports.straight import StraightInput
from agent.transports.stream import StreamOutput

SAMPLE_RATE = FORMATS["audio/pcm"]

WORDS = "words"
"""Key of an audio frame's metadata under which the agent's words travel, each with the sample from
which on it counts as heard."""

MORE_FOLLOWS = "more_follows"
"""Key of the metadata of a response's end: what was said only bridged the time until the answer."""

_GONE_QUIET_S = 1.0
"""A client that has sent nothing for so long in the middle of a turn has stopped sending: silence
is heard in its place, so that the turn can end. A network that stands still for so long would have
its pause ended too, and then go on as an interruption."""

_SILENCE_S = 0.1

_SETTLING_S = 0.064
"""Heard behind a turn that the client ends: the last word must not wait in the resampler or in a
hop that is not full."""


@dataclass
class CommandFrame(SystemFrame):
    """Something for the stages of the pipeline to do.

    Parameters
    ----------
        command: One that is no audio and no interruption; those are Pipecat's own.
    """

    command: Command


@dataclass
class WrittenFrame(DataFrame):
    """A piece of an answer in text, on its way to the client."""

    text: str


@dataclass
class WrittenEndFrame(ControlFrame):
    """An answer in text is over.

    Parameters
    ----------
        more_follows: It only bridges the time until the answer.
        failure: Why there is no answer.
    """

    more_follows: bool = False
    failure: str = ""


class RealtimeInput(StraightInput, FastAPIWebsocketInputTransport):
    """The client's events."""

    _transport: "RealtimeTransport"
    _silence: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        """Begin to listen."""
        await super().start(frame)
        self._heard_at = asyncio.get_running_loop().time()
        self._silence = self.create_task(self._fill_silence())

    async def _stop_tasks(self) -> None:
        await super()._stop_tasks()
        if self._silence:
            silence, self._silence = self._silence, None
            await self.cancel_task(silence)

    async def _receive_messages(self) -> None:
        async for message in self._client.receive():
            self._transport.protocol.read(message)
            self._transport.act()
        if not self._client.is_closing:
            await self._client.trigger_client_disconnected()

    async def obey(self, command: Command) -> None:
        """Put a command into the pipeline, behind those before it."""
        match command:
            case Hear():
                self._heard_at = asyncio.get_running_loop().time()
                await self._hear(command.pcm, command.sample_rate)
            case Interrupt():
                await self.broadcast_interruption()
            case _:
                if command == EndTurn():
                    self._heard_at -= _GONE_QUIET_S
                    await self._hear_nothing(_SETTLING_S)
                await self.push_frame(CommandFrame(command))

    async def _hear(self, pcm: bytes, sample_rate: int) -> None:
        # Not through Pipecat's queue of audio: the end of a turn must not overtake it.
        await self.push_frame(
            InputAudioRawFrame(audio=pcm, sample_rate=sample_rate, num_channels=1)
        )

    async def _fill_silence(self) -> None:
        loop = asyncio.get_running_loop()
        while True:
            await asyncio.sleep(_SILENCE_S)
            protocol = self._transport.protocol
            if protocol.awaits_silence and loop.time() - self._heard_at > _GONE_QUIET_S:
                await self._hear_nothing(_SILENCE_S)

    async def _hear_nothing(self, length_s: float) -> None:
        rate = FORMATS[self._transport.protocol.settings.input_format]
        await self._hear(bytes(2 * round(length_s * rate)), rate)


class RealtimeOutput(StreamOutput):
    """The agent's voice and what else happens."""

    _transport: "RealtimeTransport"
    _acting: asyncio.Task[None] | None = None

    async def start(self, frame: StartFrame) -> None:
        """Begin to speak, and to act on what the protocol wants."""
        await super().start(frame)
        if self._acting is None:
            self._acting = self.create_task(self._transport.run())

    async def stop(self, frame: EndFrame) -> None:
        """Hang up once all was told."""
        await self._transport.idle.wait()
        await super().stop(frame)

    async def cleanup(self) -> None:
        """Stop acting."""
        await super().cleanup()
        if self._acting:
            acting, self._acting = self._acting, None
            await self.cancel_task(acting)

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Tell the protocol what passes by."""
        protocol = self._transport.protocol
        if direction is FrameDirection.DOWNSTREAM:
            match frame:
                case InterruptionFrame():
                    protocol.interrupted()
                case TTSAudioRawFrame():
                    words: Sequence[tuple[str, int]] = frame.metadata.get(WORDS, ())
                    protocol.queued(len(frame.audio), words)
                case LLMFullResponseEndFrame():
                    protocol.ended(more_follows=frame.metadata.get(MORE_FOLLOWS, False))
                case WrittenFrame():
                    protocol.wrote(frame.text)
                case WrittenEndFrame():
                    protocol.ended(more_follows=frame.more_follows, failure=frame.failure)
                case FunctionCallsStartedFrame():
                    for call in frame.function_calls:
                        arguments = json.dumps(dict(call.arguments), ensure_ascii=False)
                        protocol.called(call.function_name, call.tool_call_id, arguments)
        self._transport.act()
        await super().process_frame(frame, direction)

    async def send_packet(self, pcm: bytes) -> None:
        """Send a packet as an event; a client that takes nothing slows the agent."""
        self._transport.protocol.sent(pcm)
        self._transport.act()
        await self._transport.idle.wait()

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        """Take an event of our own vocabulary."""
        if isinstance(frame.message, dict):
            self._transport.protocol.told(frame.message)
            self._transport.act()


class RealtimeTransport(FastAPIWebsocketTransport):
    """One accepted connection to `/v1/realtime`."""

    def __init__(self, websocket: WebSocket, protocol: RealtimeProtocol) -> None:
        """Serve a connection.

        Args:
            websocket: Accepted.
            protocol: Has begun.
        """
        params = FastAPIWebsocketParams(
            audio_in_enabled=True,
            audio_out_enabled=True,
            audio_out_sample_rate=SAMPLE_RATE,
            audio_out_10ms_chunks=2,
            audio_out_end_silence_secs=0,
        )
        super().__init__(websocket, params)
        self.protocol = protocol
        self.idle = asyncio.Event()
        self._wanted = asyncio.Event()
        self._input: RealtimeInput = RealtimeInput(self, self._client, params)
        self._output = RealtimeOutput(self, self._client, params)
        self.act()

    def act(self) -> None:
        """Have done what the protocol wants."""
        self.idle.clear()
        self._wanted.set()

    async def run(self) -> None:
        """Send the protocol's events and carry out its commands, each in its order.

        One task does it for all: an interruption cancels the others in the middle of what they do.
        """
        while True:
            await self._wanted.wait()
            self._wanted.clear()
            events, commands = self.protocol.take()
            for event in events:
                await self._client.send(json.dumps(event))
            for command in commands:
                await self._input.obey(command)
            if not self._wanted.is_set():
                self.idle.set()
