"""AudioSocket's messages: a byte of kind, two of length, the payload. Pure.

https://docs.asterisk.org/Configuration/Channel-Drivers/AudioSocket/
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum

AUDIO_RATES = {
    0x10: 8_000,
    0x11: 12_000,
    0x12: 16_000,
    0x13: 24_000,
    0x14: 32_000,
    0x15: 44_100,
    0x16: 48_000,
    0x17: 96_000,
    0x18: 192_000,
}
"""Kinds that hold 16-bit mono PCM, little-endian, with their rates in Hz."""

_HEADER = 3
_LONGEST = 0xFFFF


class Kind(IntEnum):
    """What a message is, besides audio."""

    HANGUP = 0x00
    ID = 0x01
    KEY = 0x03
    ERROR = 0xFF


@dataclass(frozen=True, slots=True)
class Message:
    """One message.

    Attributes:
        kind: Of `Kind` or `AUDIO_RATES`, or something newer.
        payload: Up to 65535 bytes.
    """

    kind: int
    payload: bytes = b""

    def __bytes__(self) -> bytes:
        assert len(self.payload) <= _LONGEST
        return bytes([self.kind]) + len(self.payload).to_bytes(2, "big") + self.payload


class Reader:
    """Cut a stream of bytes into messages, in chunks of any size. Pure."""

    def __init__(self) -> None:
        self._held = bytearray()

    @property
    def is_inside(self) -> bool:
        """Whether a message has begun and is not complete."""
        return bool(self._held)

    def push(self, data: bytes) -> Iterator[Message]:
        """Take bytes; give the messages that they complete."""
        self._held += data
        while len(self._held) >= _HEADER:
            end = _HEADER + int.from_bytes(self._held[1:3], "big")
            if len(self._held) < end:
                return
            message = Message(self._held[0], bytes(self._held[_HEADER:end]))
            del self._held[:end]
            yield message
