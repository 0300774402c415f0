"""The audio of a call: RTP from and to the peer, on a UDP port of its own."""

import asyncio
import contextlib
import secrets
from collections.abc import Callable

import numpy as np
from loguru import logger

from agent.audio.chunk import Int16Array
from agent.transports.jitter import AudioPacket, JitterBuffer, JitterStats, OrderedPacket
from agent.transports.pacing import PACKET_S, Overdue, PacedQueue
from agent.transports.sip import rtp
from agent.transports.sip.addresses import Address
from agent.transports.sip.coding import Coder, Fitted, coder, line_rate
from agent.transports.sip.digits import DigitSender
from agent.transports.sip.hearing import Hearing
from agent.transports.sip.sdp import Agreement
from agent.transports.sip.srtp import Srtp

_HOLE_S = 0.06
"""Without any packet for so long, missing ones are given up."""

DEAD_AFTER_S = 60.0
"""Without a packet for so long, on a line that is not on hold, the peer is gone."""

_UNHEARD_S = 2.0
"""A call this long of which nothing was heard has lost its audio on the way."""

_PORT_TRIES = 50


class RtpSession(asyncio.DatagramProtocol):
    """Sends a packet every 20 ms; gives what comes as one unbroken stream.

    Packets count only from the host that the description names and from the one that signalled it,
    or strangers could be heard in a call.
    """

    def __init__(self) -> None:
        """Begin deaf and mute, until `agree`."""
        self._transport: asyncio.DatagramTransport | None = None
        self._agreement: Agreement | None = None
        self._remote: Address | None = None
        self._hosts: set[str] = set()
        self._jitter = JitterBuffer()
        self._hearing: Hearing | None = None
        self._coder: Coder | None = None
        self._fitted: Fitted | None = None
        self._srtp: Srtp | None = None
        self._sent_digits = DigitSender()
        self._digits_sent = asyncio.Event()
        self._out: PacedQueue | None = None
        self._rate = 0
        self._overdue = Overdue()
        self._ssrc = secrets.randbits(32)
        self._sequence_number = secrets.randbits(16)
        self._timestamp = secrets.randbits(32)
        self._was_speaking = False
        self._pacer: asyncio.Task[None] | None = None
        self.foreign = 0
        """Packets from elsewhere, or that were no RTP."""
        self._stranger = ""
        self.on_audio: Callable[[Int16Array], None] = lambda pcm: None
        self.on_key: Callable[[str], None] = lambda key: None
        self.on_sent: Callable[[bytes], None] = lambda pcm: None
        self.on_dead: Callable[[], None] = lambda: None

    @classmethod
    async def open(cls, host: str, ports: tuple[int, int]) -> "RtpSession":
        """Take a port.

        Args:
            host: Of this machine.
            ports: First and last; (0, 0) for any free one.

        Raises:
            OSError: None is free.
        """
        loop = asyncio.get_running_loop()
        for tried in range(_PORT_TRIES):
            port = ports[0] and ports[0] + 2 * secrets.randbelow((ports[1] - ports[0]) // 2 + 1)
            try:
                _, session = await loop.create_datagram_endpoint(cls, local_addr=(host, port))
            except OSError:
                if not port or tried == _PORT_TRIES - 1:
                    raise
            else:
                return session
        raise AssertionError

    @property
    def port(self) -> int:
        """Where we receive."""
        assert self._transport is not None
        port: int = self._transport.get_extra_info("sockname")[1]
        return port

    @property
    def out(self) -> PacedQueue | None:
        """Audio on its way to the peer, once there is an agreement about it."""
        return self._out

    @property
    def received(self) -> JitterStats:
        """What became of the peer's packets."""
        return self._jitter.stats

    def agree(self, agreement: Agreement, signalled_from: str, key: bytes = b"") -> None:
        """Begin, or go on under other terms. The first ones decide on the line's sample rate.

        Args:
            agreement: With the peer.
            signalled_from: Host of the peer's signalling.
            key: Ours, where the agreement is about encrypted audio.
        """
        host, port = agreement.remote
        # An address of a family we do not have here is one of several the peer has.
        is_ours = (":" in host) == (":" in signalled_from)
        before, self._agreement = self._agreement, agreement
        self._remote = (host if is_ours else signalled_from, port)
        if not agreement.crypto:
            self._srtp = None
        elif self._srtp is None or self._srtp.keys != (key, agreement.crypto.key):
            self._srtp = Srtp(key, agreement.crypto.key)
        self._hosts = {agreement.remote[0], signalled_from}
        if self._out is None:
            self._rate = line_rate(agreement)
            self._hearing = Hearing(self._rate)
            self._out = PacedQueue(self._rate)
            self._out.on_sent = lambda pcm: self.on_sent(pcm)
        self._encode_as(agreement, before)
        self._out.pause(not agreement.may_send)
        if self._pacer is None:
            self._pacer = asyncio.create_task(self._pace(), name=f"rtp-{self.port}")

    def _encode_as(self, agreement: Agreement, before: Agreement | None) -> None:
        """Take the codec agreed on; one that goes on keeps what it knows of the sound so far."""
        is_same = before and (before.codec, before.terms) == (agreement.codec, agreement.terms)
        if self._coder is None or not is_same:
            self._coder = coder(agreement, self._rate)
            rate = self._coder.sample_rate
            self._fitted = None if rate == self._rate else Fitted(self._rate, rate)
        assert self._hearing is not None
        self._hearing.agree(agreement, self._coder)

    async def press(self, keys: str) -> None:
        """Press keys; return when the last is up.

        Raises:
            ValueError: Something else than 0-9*#A-D.
        """
        self._sent_digits.press(keys)
        while self._sent_digits.is_busy and self._transport:
            self._digits_sent.clear()
            await self._digits_sent.wait()

    async def close(self) -> None:
        """Give the port back."""
        if self._out:
            self._out.close()
        if self._transport:
            self._transport.close()
            self._transport = None
        if self._hearing and self._out and self._pacer:
            stats = self.received
            logger.info(
                "audio of a call, {}: {} packets received, {} lost, {} late, {:.1f} s concealed; "
                "{} sent, 99 % of them less than {:.0f} ms late",
                self._agreement.codec if self._agreement else "",
                stats.received,
                stats.lost,
                stats.late,
                self._hearing.concealed_s,
                self._out.lateness.packets,
                self._out.lateness.percentile_s(0.99) * 1000,
            )
            if not stats.received and self._out.lateness.packets * PACKET_S >= _UNHEARD_S:
                elsewhere = f"; {self.foreign} packets from {self._stranger} were not taken"
                logger.warning(
                    "a caller was never heard: no audio came from {}{}; check the firewall "
                    "(sip.rtp_ports) and sip.advertised_host",
                    self._remote[0] if self._remote else "anywhere",
                    elsewhere if self.foreign else "",
                )
        self._digits_sent.set()
        pacer, self._pacer = self._pacer, None
        if pacer and pacer is not asyncio.current_task():
            pacer.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await pacer

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The port is ours."""
        # No check of its class: some event loops have one of their own.
        self._transport = transport  # type: ignore[assignment]

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take whatever came."""
        packet = self._parsed(data) if addr[0] in self._hosts else None
        if packet is None or self._agreement is None:
            self.foreign += 1
            self._stranger = addr[0]
            return
        if self._remote is None or addr[0] != self._remote[0]:
            # The peer does not know its own address: there is a translator in between.
            self._remote = (addr[0], addr[1])
        self._deliver(self._jitter.push(packet))

    def error_received(self, exc: Exception) -> None:
        """The peer's port is closed: it hangs up in a moment, or is dead."""

    def _parsed(self, data: bytes) -> AudioPacket | None:
        clear = self._srtp.unprotect(data) if self._srtp else data
        return rtp.parse(clear) if clear else None

    def _deliver(self, ordered: list[OrderedPacket]) -> None:
        assert self._hearing is not None
        if any(map(self._hearing.is_audio, ordered)):
            self._overdue.arrived()
        for heard in self._hearing.take(ordered):
            if isinstance(heard, str):
                self.on_key(heard)
            else:
                self.on_audio(heard)

    async def _pace(self) -> None:
        now = asyncio.get_running_loop().time
        before = now()
        assert self._out is not None
        async for pcm in self._out.packets():
            self._listen(now() - before)
            before = now()
            self._speak(pcm)

    def _listen(self, elapsed_s: float) -> None:
        """Notice that nothing comes."""
        assert self._agreement is not None and self._hearing is not None
        overdue_s = self._overdue.passed(elapsed_s)
        if self._overdue.silent_s >= _HOLE_S:
            self._deliver(self._jitter.flush())
        if overdue_s and len(missing := self._hearing.wait(overdue_s)):
            self.on_audio(missing)
        if self._overdue.silent_s >= DEAD_AFTER_S and self._agreement.may_receive:
            self._overdue.arrived()
            self.on_dead()

    def _speak(self, pcm: bytes | None) -> None:
        agreement, coder = self._agreement, self._coder
        assert agreement is not None and coder is not None
        if agreement.may_send and not self._press(agreement):
            quiet = bytes(2 * round(PACKET_S * self._rate))
            samples = np.frombuffer(quiet if pcm is None else pcm, np.int16)
            payload = coder.encode(self._fitted.push(samples) if self._fitted else samples)
            is_onset = pcm is not None and not self._was_speaking
            self._send(agreement.payload_type, self._timestamp, payload, marker=is_onset)
        self._was_speaking = pcm is not None
        self._timestamp = (self._timestamp + round(PACKET_S * coder.clock_rate)) & 0xFFFFFFFF

    def _press(self, agreement: Agreement) -> bool:
        """Send what belongs to a key that is down or just up; False if there is none."""
        was_busy = self._sent_digits.is_busy
        events = self._sent_digits.step(self._timestamp, round(PACKET_S * agreement.event_rate))
        if was_busy and not self._sent_digits.is_busy:
            self._digits_sent.set()
        if events is None or agreement.event_type is None:
            return False
        for event in events:
            self._send(agreement.event_type, event.timestamp, event.payload, marker=event.marker)
        return True

    def _send(self, payload_type: int, timestamp: int, payload: bytes, *, marker: bool) -> None:
        packet = AudioPacket(self._ssrc, self._sequence_number, timestamp, payload_type, payload)
        self._sequence_number = (self._sequence_number + 1) & 0xFFFF
        if self._transport and self._remote:
            data = rtp.build(packet, marker=marker)
            self._transport.sendto(self._srtp.protect(data) if self._srtp else data, self._remote)
