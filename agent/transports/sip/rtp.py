"""RTP packets (RFC 3550). Pure."""

import struct

from agent.transports.jitter import AudioPacket

_HEADER = struct.Struct("!BBHII")
_VERSION = 2


def parse(datagram: bytes) -> AudioPacket | None:
    """Read a packet.

    Args:
        datagram: Whatever came in at the port.

    Returns:
        None if it is no RTP packet: too short, another version, lengths that do not fit, or RTCP
        on the same port (RFC 5761).
    """
    if len(datagram) < _HEADER.size:
        return None
    first, second, sequence_number, timestamp, ssrc = _HEADER.unpack_from(datagram)
    if first >> 6 != _VERSION or 192 <= second <= 223:
        return None
    start = _payload_start(datagram, first)
    end = len(datagram)
    if first & 0x20:
        end -= datagram[-1]
        if datagram[-1] == 0:
            return None
    if start is None or start > end:
        return None
    return AudioPacket(ssrc, sequence_number, timestamp, second & 0x7F, datagram[start:end])


def build(packet: AudioPacket, *, marker: bool = False) -> bytes:
    """Write a packet.

    Args:
        packet: Values beyond their bits wrap around.
        marker: First packet of a talkspurt or of a digit.
    """
    header = _HEADER.pack(
        _VERSION << 6,
        (0x80 if marker else 0) | (packet.payload_type & 0x7F),
        packet.sequence_number & 0xFFFF,
        packet.timestamp & 0xFFFFFFFF,
        packet.ssrc & 0xFFFFFFFF,
    )
    return header + packet.payload


def _payload_start(datagram: bytes, first: int) -> int | None:
    start = _HEADER.size + 4 * (first & 0x0F)
    if not first & 0x10:
        return start
    if len(datagram) < start + 4:
        return None
    words = int.from_bytes(datagram[start + 2 : start + 4], "big")
    return start + 4 + 4 * words
