"""The peer connection that a WebRTC call's input and output share, and its audio."""

import asyncio

import aiortc.sdp
from pipecat.transports.smallwebrtc.connection import SmallWebRTCConnection
from pipecat.utils.shared import acquires, releases

from agent.transports.webrtc_media import AudioReceiver, OutboundTrack
from agent.transports.webrtc_socket import SocketPath


class PeerCall:
    """The connection that a transport's input and output share."""

    def __init__(self, connection: SmallWebRTCConnection, output_rate: int) -> None:
        self.connection = connection
        self._output_rate = output_rate
        self._pc: object | None = None
        self.receiver: AudioReceiver | None = None
        self.outbound: OutboundTrack | SocketPath | None = None
        self.path: SocketPath | None = None
        """In the place of a peer connection from some point on."""
        self.is_closing = self.was_connected = False
        self.leaving: asyncio.Task[None] | None = None
        self.connected = asyncio.Event()

    def open_media(self) -> bool:
        """Set up audio of a connected peer; False if it is the one set up before."""
        if self._pc is self.connection.pc:
            return False
        self._pc = self.connection.pc
        self.was_connected = True
        self.receiver = install_receiver(self.connection)
        track = OutboundTrack(self._output_rate, is_opus=_agreed_on_opus(self.connection))
        self.outbound = track
        self.connection.replace_audio_track(track)
        self.connected.set()
        return True

    def drop_media(self) -> None:
        """Forget the peer's audio: it hung up, or comes back on another connection."""
        self.connected.clear()
        if self.outbound:
            self.outbound.stop()
        self._pc = self.receiver = self.outbound = None

    async def hang_up(self) -> None:
        """Close a connection whose peer has gone; it counts as the peer's doing."""
        await self.connection.disconnect()

    def stop_leaving(self) -> None:
        """Wait for the peer no longer: it is back, or we are done."""
        if self.leaving:
            self.leaving.cancel()
            self.leaving = None

    @acquires("connection")
    async def connect(self) -> None:
        """Take part; both ends ask for it."""
        await self.connection.connect()

    @releases("connection")
    async def disconnect(self) -> None:
        """Leave for good, once neither end needs it any more."""
        if not self.is_closing:
            self.is_closing = True
            self.stop_leaving()
            if self.path:
                await self.path.close()
            await self.connection.disconnect()
            self.drop_media()


def install_receiver(connection: SmallWebRTCConnection) -> AudioReceiver:
    """Put our jitter buffer on the connection's audio; harmless to repeat.

    Raises:
        ValueError: The offer has no audio first.
    """
    transceivers = connection.pc.getTransceivers()
    if not transceivers or transceivers[0].kind != "audio":
        raise ValueError("the first medium offered must be audio")
    return AudioReceiver.of(transceivers[0].receiver)


def _agreed_on_opus(connection: SmallWebRTCConnection) -> bool:
    description = aiortc.sdp.SessionDescription.parse(connection.pc.localDescription.sdp)
    codecs = description.media[0].rtp.codecs
    return bool(codecs) and codecs[0].mimeType.lower() == "audio/opus"
