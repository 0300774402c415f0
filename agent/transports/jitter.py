"""Put the packets of one audio stream in order, without a delay that grows. Pure.

Nothing is held while packets come in order: a recogniser needs no steady pace, so the usual
prefetch would only make every answer later. A hole holds back what lies behind it until the missing
packet comes or the stream is `patience` packets further, and then it is lost. aiortc's own buffer
waits for 80 ms always, and for 280 ms during the rest of the call once one packet was lost.
"""

from dataclasses import dataclass

_FARTHEST_JUMP = 100
"""Sequence numbers, 2 s of 20 ms packets: beyond, it is another stream (RFC 3550 A.1)."""

_SEQUENCE_MODULUS = 1 << 16
_TIMESTAMP_MODULUS = 1 << 32


@dataclass(frozen=True, slots=True)
class AudioPacket:
    """An RTP packet as plain values.

    Attributes:
        ssrc: Identifies the stream; another one starts over.
        sequence_number: 16 bits, counts packets.
        timestamp: 32 bits, counts samples at the codec's RTP clock rate.
        payload_type: Which codec, by its number in the session description.
        payload: Encoded audio; empty in padding.
    """

    ssrc: int
    sequence_number: int
    timestamp: int
    payload_type: int
    payload: bytes


@dataclass(frozen=True, slots=True)
class OrderedPacket:
    """A packet in its turn.

    Attributes:
        packet: As it came.
        timestamp: Its timestamp without wrap-around, for as long as the stream goes on.
        lost_before: Packets given up between the one before and this one.
        held: How far, in packets, the newest one received was ahead when this one was let go.
    """

    packet: AudioPacket
    timestamp: int
    lost_before: int
    held: int


@dataclass(slots=True)
class JitterStats:
    """What became of the packets of a call."""

    received: int = 0
    lost: int = 0
    late: int = 0
    duplicate: int = 0
    restarts: int = 0
    longest_hold: int = 0
    """In packets."""


class JitterBuffer:
    """Order packets, give up on missing ones soon, never raise. Pure.

    Args:
        patience: How far, in packets, the newest one may be ahead of a hole before the hole is
            given up. 3 forgives reordering by two places and holds for 40 ms of 20 ms packets; each
            loss right behind adds 20 ms, as the next packet to come decides.

    Raises:
        ValueError: The patience is less than one packet.
    """

    def __init__(self, patience: int = 3) -> None:
        if patience < 1:
            raise ValueError(f"patience is counted in whole packets, from 1 on, not {patience}")
        self._patience = patience
        self._held: dict[int, AudioPacket] = {}
        self._ssrc: int | None = None
        self._next = 0
        self._newest = 0
        self._timestamp = 0
        self._stranger: AudioPacket | None = None
        self.stats = JitterStats()

    def push(self, packet: AudioPacket) -> list[OrderedPacket]:
        """Take a packet from the network.

        Args:
            packet: Any, in any order; values outside their bits are reduced to them.

        Returns:
            What is now in its turn, oldest first. Nothing when the packet has to wait, is too late,
            or came twice.
        """
        self.stats.received += 1
        if packet.ssrc != self._ssrc:
            return self._restart(packet)
        return self._place(packet)

    def flush(self) -> list[OrderedPacket]:
        """Give up on every hole, as when no later packet comes to close the matter."""
        return self._release(0)

    def _place(self, packet: AudioPacket) -> list[OrderedPacket]:
        ahead = _signed(packet.sequence_number - self._next, _SEQUENCE_MODULUS)
        if not -_FARTHEST_JUMP < ahead < _FARTHEST_JUMP:
            return self._far(packet)
        self._stranger = None
        place = self._next + ahead
        if ahead < 0:
            self.stats.late += 1
            return []
        if place in self._held:
            self.stats.duplicate += 1
            return []
        self._held[place] = packet
        self._newest = max(self._newest, place)
        return self._release(self._patience)

    def _release(self, patience: int) -> list[OrderedPacket]:
        ordered = []
        while self._held:
            lost = 0
            if self._next not in self._held:
                if self._newest - self._next < patience:
                    break
                lost = min(self._held) - self._next
            ordered.append(self._let_go(lost))
        return ordered

    def _let_go(self, lost: int) -> OrderedPacket:
        place = self._next + lost
        packet = self._held.pop(place)
        self._next = place + 1
        held = self._newest - place
        self._timestamp += _signed(packet.timestamp - self._timestamp, _TIMESTAMP_MODULUS)
        self.stats.lost += lost
        self.stats.longest_hold = max(self.stats.longest_hold, held)
        return OrderedPacket(packet, self._timestamp, lost, held)

    def _far(self, packet: AudioPacket) -> list[OrderedPacket]:
        """Believe a sequence number from elsewhere when a second one follows it."""
        stranger, self._stranger = self._stranger, packet
        if stranger is None or packet.sequence_number != _following(stranger.sequence_number):
            return []
        return [*self._restart(stranger), *self._place(packet)]

    def _restart(self, packet: AudioPacket) -> list[OrderedPacket]:
        """Begin a stream at this packet; what was held of the one before goes first."""
        rest = self.flush()
        if self._ssrc is not None:
            self.stats.restarts += 1
        self._ssrc = packet.ssrc
        self._stranger = None
        self._next = self._newest = packet.sequence_number % _SEQUENCE_MODULUS
        self._timestamp = packet.timestamp % _TIMESTAMP_MODULUS
        self._held[self._next] = packet
        return [*rest, self._let_go(0)]


def _following(sequence_number: int) -> int:
    return (sequence_number + 1) % _SEQUENCE_MODULUS


def _signed(difference: int, modulus: int) -> int:
    """Find the shortest way between two points of a circle."""
    return (difference + modulus // 2) % modulus - modulus // 2
