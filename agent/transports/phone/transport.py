"""A provider's media stream as a Pipecat transport."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace
from pathlib import Path

from loguru import logger
from pipecat.transports.base_transport import BaseTransport, TransportParams

from agent.transports.phone.call import Call, CallFacts, CallState, Sound
from agent.transports.phone.connection import NETWORK_S, Connection
from agent.transports.phone.inbound import InboundAudio
from agent.transports.phone.input import PhoneInput
from agent.transports.phone.line import Line
from agent.transports.phone.output import PhoneOutput
from agent.transports.phone.playback import PlaybackClock
from agent.transports.phone.providers.stream import MediaStream
from agent.transports.phone.recording import Recording
from agent.transports.phone.rest import Rest, TransferError

_CLOSE_S = 3.0
"""How long a provider that closes the stream itself may take."""


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
        consults: bool = False,
    ) -> None:
        """Take over a stream that has started.

        Args:
            line: Accepted.
            stream: That has read its start.
            facts: What is known of the call.
            rest: The provider's requests, where credentials for them are set.
            transfer_to: The only numbers it may be transferred to.
            recordings: Where calls are recorded; None forbids it.
            consults: Whether somebody else can be asked before the caller is put through.
        """
        super().__init__()
        started = stream.started
        assert started is not None
        rate = started.sample_rate
        self._recordings = recordings
        can_transfer = stream.capabilities.transfer and (rest is not None or stream.says_farewell)
        self.call = Call(
            facts,
            replace(
                stream.capabilities,
                transfer=can_transfer,
                consult=can_transfer and consults,
                record=recordings is not None,
            ),
            _Control(self),
            Sound(rate, stream.lead_s + NETWORK_S),
            transfer_to,
        )
        self._rest = rest
        self._transferred_to: str | None = None
        self.stays = False
        """Whether the call goes on when its stream is closed."""
        self.moves_on: Callable[[], Awaitable[None]] | None = None
        """What lets a call that stays go on elsewhere, before its stream is closed."""
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
        # Who hangs up does not come back, so nobody is ever told of one who is away.
        for event in ("on_client_connected", "on_client_away", "on_client_disconnected"):
            self._register_event_handler(event)

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
        elif self.moves_on:
            # Who has hung up goes nowhere.
            self.stays = False
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
            await self._rest.transfer(self.call.facts, to)
        self._transferred_to = to
        self.stays = True

    def hand_over(self) -> None:
        """The caller is about to talk with somebody else: the stream's end is not the call's."""
        self.stays = True
        self.call.state = CallState.TRANSFERRED

    def take_back(self) -> None:
        """It did not come to that."""
        self.stays = False
        self.call.state = CallState.TALKING

    async def leave_conversation(self) -> None:
        """Let the conversation end, though the other party has not hung up."""
        await self._on_gone()

    def record(self) -> Path:
        """Keep what is said from now on until the line is cut; where it is kept."""
        assert self._recordings is not None
        connection = self.connection
        if connection.recording is None:
            now_s = asyncio.get_running_loop().time()
            connection.recording = Recording(
                self._recordings, connection.rate, now_s, lambda: self.call.is_secret
            )
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
        if self.stays and self.moves_on:
            try:
                await self.moves_on()
            except TransferError as error:
                logger.error("a call could not go on: {}", error)
                self.stays = False
        if self._rest is not None and not self.stays:
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
