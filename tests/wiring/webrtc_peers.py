"""A caller over real WebRTC, and a network between caller and server that loses packets by seed."""

import asyncio
import random
import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from aiortc import RTCConfiguration, RTCPeerConnection, RTCSessionDescription
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from av import AudioFrame

from agent.audio.chunk import Int16Array

RATE = 48_000
PACKET = 960

_CANDIDATE = re.compile(r"a=candidate:\S+ 1 udp \d+ (\d+\.\d+\.\d+\.\d+) (\d+) typ host.*\r\n")


@dataclass
class Faults:
    """What happens to media packets on their way to the server.

    Attributes:
        loss: Share of packets dropped.
        reorder: Share of packets that the one behind them overtakes.
        seed: Of the choice.
    """

    loss: float = 0.0
    reorder: float = 0.0
    seed: int = 1


@dataclass
class Relay:
    """Forwards UDP between two peers who take it for each other. Only media suffers faults."""

    faults: Faults = field(default_factory=Faults)
    media: int = 0
    dropped: int = 0
    reordered: int = 0
    is_cut: bool = False

    def __post_init__(self) -> None:
        self._chance = random.Random(self.faults.seed)
        self._overtaken: bytes | None = None
        self._ends: dict[str, asyncio.DatagramTransport] = {}
        self._addresses: dict[str, tuple[str, int]] = {}

    async def stand_in_for(self, peer: str, sdp: str) -> str:
        """Rewrite a peer's description so that the other one sends to the relay instead."""
        candidates = list(_CANDIDATE.finditer(sdp))
        assert candidates, "this machine has no IPv4 address but loopback; WebRTC cannot connect"
        host, port = candidates[0].groups()
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            lambda: _End(self, peer), local_addr=(host, 0)
        )
        self._ends[peer] = transport
        self._addresses[peer] = (host, int(port))
        port_of_relay = transport.get_extra_info("sockname")[1]
        relayed = candidates[0].group(0).replace(f" {host} {port} ", f" {host} {port_of_relay} ")
        # Both media share one transport (BUNDLE), and name the same candidates.
        return re.sub(r"(a=candidate:.*\r\n)+", lambda _: relayed, sdp)

    def forward(self, data: bytes, arrived_for: str) -> None:
        """Pass on what came to the stand-in for a peer."""
        if self.is_cut:
            return
        if arrived_for == "server" and _is_media(data):
            for packet in self._suffer(data):
                self._send(packet, arrived_for)
        else:
            self._send(data, arrived_for)

    def close(self) -> None:
        for end in self._ends.values():
            end.close()

    def _suffer(self, data: bytes) -> list[bytes]:
        self.media += 1
        # The first packet always arrives: it says where the stream begins.
        if self.media > 1 and self._chance.random() < self.faults.loss:
            self.dropped += 1
            return []
        if self._overtaken is not None:
            overtaken, self._overtaken = self._overtaken, None
            return [data, overtaken]
        if self.media > 1 and self._chance.random() < self.faults.reorder:
            self.reordered += 1
            self._overtaken = data
            return []
        return [data]

    def _send(self, data: bytes, to: str) -> None:
        other = "client" if to == "server" else "server"
        # Sent from the socket that the receiver takes for the other peer.
        if other in self._ends and not self._ends[other].is_closing():
            self._ends[other].sendto(data, self._addresses[to])


class _End(asyncio.DatagramProtocol):
    def __init__(self, relay: Relay, peer: str) -> None:
        self._relay = relay
        self._peer = peer

    def datagram_received(self, data: bytes, addr: Any) -> None:
        self._relay.forward(data, self._peer)


def _is_media(data: bytes) -> bool:
    """SRTP and not SRTCP, by the first bytes (RFC 7983, RFC 5761)."""
    return len(data) > 12 and 128 <= data[0] <= 191 and not 192 <= data[1] <= 223


class Microphone(MediaStreamTrack):
    """Plays PCM at 48 kHz in packets of 20 ms, then ends its sound and stays connected."""

    kind = "audio"

    def __init__(self, pcm: Int16Array, interval_s: float = 0.02) -> None:
        super().__init__()
        self._pcm = pcm[: len(pcm) // PACKET * PACKET]
        self._interval_s = interval_s
        self._sent = 0
        self._start_s = 0.0
        self.go = asyncio.Event()
        self.finished = asyncio.Event()

    @property
    def packets(self) -> int:
        return len(self._pcm) // PACKET

    async def recv(self) -> AudioFrame:
        if self.readyState != "live":
            raise MediaStreamError
        await self.go.wait()
        loop = asyncio.get_running_loop()
        if self._sent == 0:
            self._start_s = loop.time()
        if self._sent == self.packets:
            self.finished.set()
            await asyncio.Event().wait()
        await asyncio.sleep(self._start_s + self._sent * self._interval_s - loop.time())
        part = self._pcm[self._sent * PACKET : (self._sent + 1) * PACKET]
        frame = AudioFrame.from_ndarray(part[None, :], format="s16", layout="mono")
        frame.sample_rate = RATE
        frame.pts = self._sent * PACKET
        frame.time_base = Fraction(1, RATE)
        self._sent += 1
        return frame


class Caller:
    """A peer as the page is one: one audio track both ways, one data channel."""

    def __init__(self, microphone: Microphone, relay: Relay | None = None) -> None:
        self.microphone = microphone
        self.pc = RTCPeerConnection(RTCConfiguration(iceServers=[]))
        self.pc.addTrack(microphone)
        self.channel = self.pc.createDataChannel("events")
        self.messages: asyncio.Queue[str] = asyncio.Queue()
        self.channel.on("message", self.messages.put_nowait)
        self.heard: asyncio.Future[MediaStreamTrack] = asyncio.get_running_loop().create_future()
        self.pc.on("track", self.heard.set_result)
        self.pc_id = ""
        self.connected = asyncio.Event()
        self.pc.on("connectionstatechange", self._on_state)
        self._relay = relay

    async def call(self, answer: Any, **extra: Any) -> None:
        """Offer, take the answer. `answer` is the server's `Offers.answer`."""
        await self.pc.setLocalDescription(await self.pc.createOffer())
        sdp = self.pc.localDescription.sdp
        if self._relay:
            sdp = await self._relay.stand_in_for("client", sdp)
        answered = await answer({"sdp": sdp, "type": "offer", **extra})
        sdp = answered["sdp"]
        if self._relay:
            sdp = await self._relay.stand_in_for("server", sdp)
        self.pc_id = answered["pc_id"]
        await self.pc.setRemoteDescription(RTCSessionDescription(sdp, "answer"))

    def _on_state(self) -> None:
        if self.pc.connectionState == "connected":
            self.connected.set()

    async def listen(self, packets: int) -> Int16Array:
        """Record what the server sends: shape (n,), int16, 48 kHz mono."""
        track = await self.heard
        parts = []
        for _ in range(packets):
            frame = await track.recv()
            samples = frame.to_ndarray().reshape(-1, len(frame.layout.channels))
            parts.append(samples[:, 0].astype(np.int16))
        return np.concatenate(parts)

    async def close(self) -> None:
        await self.pc.close()
        if self._relay:
            self._relay.close()


def chirps(duration_s: float, every_s: float = 0.5) -> Int16Array:
    """Sweeps of 60 ms over speech-like noise: events whose place in time can be found again."""
    n = round(duration_s * RATE)
    signal = np.random.default_rng(5).normal(0, 60, n)
    sweep = chirp()
    for at in range(round(0.2 * RATE), n - len(sweep), round(every_s * RATE)):
        signal[at : at + len(sweep)] += sweep
    return np.clip(signal, -32768, 32767).astype(np.int16)


def chirp(sample_rate: int = RATE) -> "np.ndarray[Any, np.dtype[np.float64]]":
    """One sweep from 400 to 3000 Hz."""
    t = np.arange(round(0.06 * sample_rate)) / sample_rate
    return 9000 * np.hanning(len(t)) * np.sin(2 * np.pi * (400 * t + 2600 / 0.12 * t**2))
