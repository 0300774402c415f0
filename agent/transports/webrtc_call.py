"""One call over WebRTC, as a Pipecat transport.

Data channel and reconnection are Pipecat's SmallWebRTC; audio both ways is ours, see
`webrtc_media`.
"""

import asyncio
from collections.abc import Callable
from typing import Any

from aiortc.mediastreams import MediaStreamError
from pipecat.frames.frames import (
    CancelFrame,
    ClientConnectedFrame,
    EndFrame,
    InputAudioRawFrame,
    InputTransportMessageFrame,
    OutputAudioRawFrame,
    OutputTransportMessageFrame,
    OutputTransportMessageUrgentFrame,
    StartFrame,
)
from pipecat.processors.frame_processor import FrameProcessorSetup
from pipecat.transports.base_transport import BaseTransport, TransportParams
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from starlette.websockets import WebSocket

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.errors import SettingsError
from agent.transports.straight import StraightInput, StraightOutput
from agent.transports.webrtc_media import (
    OPUS_RATES,
    AudioReceiver,
    InboundAudio,
    decoded,
)
from agent.transports.webrtc_peer import PeerCall
from agent.transports.webrtc_socket import SocketPath

_TICK_S = 0.03
"""How often a stream without packets is looked at."""

_HOLE_S = 0.06
"""Without any packet for so long, missing ones are given up."""

FILL_AFTER_S = 0.2
"""From here on silence is filled in for packets that do not come: the sender may be muted, and who
waits for the end of a turn must not wait for it to be unmuted."""

_MARGIN_S = 0.1
"""How far the filled-in stream stays behind, so that a late packet finds its place."""

_GONE_S = 5.0
"""Neither audio nor a ping for so long: the page is closed. ICE alone takes 27 s to notice."""


class WebRTCInput(StraightInput):
    """The caller's voice, 16 kHz mono, gaps concealed; and the caller's messages."""

    def __init__(self, call: PeerCall, params: TransportParams, fill_after_s: float) -> None:
        super().__init__(params)
        self._call = call
        self._fill_after_s = fill_after_s
        self._reader: asyncio.Task[None] | None = None

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Join the connection."""
        await super().setup(setup)
        await self._call.connect()

    async def start(self, frame: StartFrame) -> None:
        """Begin to listen."""
        await super().start(frame)
        await self.set_transport_ready(frame)
        if self._reader is None:
            self._reader = self.create_task(self._read_calls())

    async def stop(self, frame: EndFrame) -> None:
        """Stop listening."""
        await super().stop(frame)
        await self._leave()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop listening at once."""
        await super().cancel(frame)
        await self._leave()

    async def cleanup(self) -> None:
        """Leave the connection, if that did not happen yet."""
        await super().cleanup()
        await self._leave()

    async def receive(self, message: Any) -> None:
        """Take a JSON message from the data channel."""
        await self.push_frame(InputTransportMessageFrame(message=message))

    async def _leave(self) -> None:
        if self._reader:
            reader, self._reader = self._reader, None
            await self.cancel_task(reader)
        await self._call.disconnect()

    async def _read_calls(self) -> None:
        """Read the peer's audio, through as many connections as it takes."""
        inbound = InboundAudio()
        while True:
            await self._call.connected.wait()
            try:
                await self._read(inbound)
            except MediaStreamError:
                # The track ended; the peer comes back with another one, or the call is closed.
                self._call.connected.clear()

    async def _read(self, inbound: InboundAudio) -> None:
        track = self._call.connection.audio_input_track()
        receiver = self._call.receiver
        if track is None or receiver is None:
            raise MediaStreamError
        clock = asyncio.get_running_loop().time
        silent_s = filled_s = 0.0
        while self._call.receiver is receiver:
            asked_s = clock()
            try:
                frame = await asyncio.wait_for(track.recv(), _TICK_S)
            except TimeoutError:
                # A loop that stood still has its packets waiting in the socket: that time is not
                # silence.
                silent_s += min(clock() - asked_s, 2 * _TICK_S)
                if silent_s >= _HOLE_S:
                    receiver.flush()
                if silent_s >= self._fill_after_s:
                    overdue_s = silent_s - _MARGIN_S - filled_s
                    filled_s += overdue_s
                    await self._push(inbound.wait(overdue_s))
                if silent_s >= _GONE_S and not self._call.connection.is_connected():
                    await self._call.hang_up()
            else:
                silent_s = filled_s = 0.0
                await self._push(inbound.push(decoded(frame)))
        raise MediaStreamError

    async def _push(self, pcm: Int16Array) -> None:
        if len(pcm):
            await self.push_audio_frame(
                InputAudioRawFrame(audio=pcm.tobytes(), sample_rate=SAMPLE_RATE, num_channels=1)
            )


class WebRTCOutput(StraightOutput):
    """The agent's voice and messages."""

    def __init__(self, call: PeerCall, params: TransportParams) -> None:
        super().__init__(params)
        self._call = call

    @property
    def queued_s(self) -> float:
        """Seconds of audio accepted and not sent yet, 0.04 at most."""
        return self._call.outbound.queued_s if self._call.outbound else 0.0

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Join the connection."""
        await super().setup(setup)
        await self._call.connect()

    async def start(self, frame: StartFrame) -> None:
        """Begin to speak."""
        await super().start(frame)
        await self.set_transport_ready(frame)

    async def stop(self, frame: EndFrame) -> None:
        """Stop when what was said is sent."""
        await super().stop(frame)
        if self._call.outbound:
            await self._call.outbound.drain()
        await self._call.disconnect()

    async def cancel(self, frame: CancelFrame) -> None:
        """Stop at once."""
        await super().cancel(frame)
        await self._call.disconnect()

    async def cleanup(self) -> None:
        """Leave the connection, if that did not happen yet."""
        await super().cleanup()
        await self._call.disconnect()

    async def write_audio_frame(self, frame: OutputAudioRawFrame) -> bool:
        """Queue audio; returns when the next packet is wanted."""
        return await self._call.outbound.write(frame.audio) if self._call.outbound else False

    async def send_message(
        self, frame: OutputTransportMessageFrame | OutputTransportMessageUrgentFrame
    ) -> None:
        """Send JSON through the data channel; before it opens, 50 messages are kept."""
        if self._call.path:
            await self._call.path.send(frame.message)
        elif not self._call.is_closing:
            self._call.connection.send_app_message(frame.message)


class WebRTCTransport(BaseTransport):
    """One call.

    Events, as Pipecat's transports name them: `on_client_connected(transport, connection)`,
    `on_client_disconnected(transport, connection)` when the peer hung up, and
    `on_app_message(transport, message, sender)`.
    """

    def __init__(
        self,
        connection: SmallWebRTCConnection,
        *,
        output_rate: int = 24_000,
        fill_after_s: float = FILL_AFTER_S,
        rejoin_s: float = 0.0,
    ) -> None:
        """Take over a connection that was offered.

        Args:
            connection: Answered or about to be.
            output_rate: Of the agent's audio, in Hz.
            fill_after_s: Time without packets after which the caller is taken as silent.
            rejoin_s: How long a caller whose connection broke may take to come back.

        Raises:
            SettingsError: Opus cannot encode that rate.
        """
        super().__init__()
        if output_rate not in OPUS_RATES:
            raise SettingsError(f"WebRTC cannot send {output_rate} Hz; use one of {OPUS_RATES}")
        params = TransportParams(
            audio_in_enabled=True,
            audio_in_sample_rate=SAMPLE_RATE,
            audio_out_enabled=True,
            audio_out_sample_rate=output_rate,
            audio_out_10ms_chunks=2,
            # What was said is drained; more silence would only keep the line open.
            audio_out_end_silence_secs=0,
        )
        self._call = PeerCall(connection, output_rate)
        self._input = WebRTCInput(self._call, params, fill_after_s)
        self._output = WebRTCOutput(self._call, params)
        self._rejoin_s = rejoin_s
        self._closing: asyncio.Task[None] | None = None
        self.sample_rate = output_rate
        self.on_away: Callable[[], None] = lambda: None
        """Called when the caller is lost, once the call goes on over a WebSocket."""
        self.on_back: Callable[[], None] = lambda: None
        """Called when the caller is back."""
        self.on_moved: Callable[[], None] = lambda: None
        """Called when the call goes on over a WebSocket: its peer connection is of no use now."""
        for event in (
            "on_client_connected",
            "on_client_away",
            "on_client_disconnected",
            "on_app_message",
        ):
            self._register_event_handler(event)
        connection.add_event_handler("connected", self._on_connected)
        connection.add_event_handler("disconnected", self._on_disconnected)
        connection.add_event_handler("closed", self._on_closed)
        connection.add_event_handler("app-message", self._on_app_message)

    @property
    def connection(self) -> SmallWebRTCConnection:
        """Pipecat's connection, for what is not audio."""
        return self._call.connection

    @property
    def receiver(self) -> AudioReceiver | None:
        """Where the caller's packets arrive, with their statistics; None while not connected."""
        return self._call.receiver

    @property
    def may_rejoin(self) -> bool:
        """Whether the caller would be taken back, were the connection to break now."""
        return self._rejoin_s > 0 and not self._call.is_closing

    def join(self, websocket: WebSocket) -> bool:
        """Go on over an accepted WebSocket at `sample_rate`: there is no direct path any more.

        Returns:
            False if it is too late.
        """
        call = self._call
        if call.is_closing:
            return False
        if call.path:
            return call.path.join(websocket)
        if call.outbound:
            # The caller has noticed the loss before us.
            self.on_away()
        call.stop_leaving()
        call.drop_media()
        call.path = call.outbound = SocketPath(
            websocket,
            self.sample_rate,
            self._rejoin_s,
            take=self._input.push_frame,
            on_away=lambda: self.on_away(),
            on_back=lambda: self.on_back(),
            on_over=self._on_left,
        )
        self.on_moved()
        self._closing = asyncio.create_task(call.hang_up(), name="webrtc-moved")
        self.on_back()
        return True

    def input(self) -> WebRTCInput:
        """Give the caller's end."""
        return self._input

    def output(self) -> WebRTCOutput:
        """Give the agent's end."""
        return self._output

    def get_client_id(self, client: Any) -> str:
        """Name the peer connection of a client event."""
        return str(client.pc_id)

    async def _on_left(self) -> None:
        await self._call_event_handler("on_client_disconnected", self._call.connection)

    async def _on_connected(self, connection: SmallWebRTCConnection) -> None:
        if self._call.path:
            return
        self._call.stop_leaving()
        if self._call.open_media():
            await self._call_event_handler("on_client_connected", connection)
            await self._input.push_frame(ClientConnectedFrame())

    async def _on_disconnected(self, connection: SmallWebRTCConnection) -> None:
        """The peer comes back on another connection, which it is offering now."""
        if self._call.path:
            return
        self._call.drop_media()
        await self._call_event_handler("on_client_away", connection)

    async def _on_closed(self, connection: SmallWebRTCConnection) -> None:
        if self._call.path:
            return
        self._call.drop_media()
        if self._call.is_closing:
            return
        if not self._call.was_connected:
            self._rejoin_s = 0.0
        if self._rejoin_s and not self._call.leaving:
            self._call.leaving = asyncio.create_task(
                self._leave_later(connection), name="webrtc-away"
            )
            await self._call_event_handler("on_client_away", connection)
        elif not self._rejoin_s:
            await self._call_event_handler("on_client_disconnected", connection)

    async def _leave_later(self, connection: SmallWebRTCConnection) -> None:
        await asyncio.sleep(self._rejoin_s)
        self._rejoin_s, self._call.leaving = 0.0, None
        if not self._call.is_closing:
            await self._call_event_handler("on_client_disconnected", connection)

    async def _on_app_message(self, connection: SmallWebRTCConnection, message: Any) -> None:
        await self._input.receive(message)
        await self._call_event_handler("on_app_message", message, connection.pc_id)
