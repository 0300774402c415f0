"""What every provider's side of a stream has in common, and what it may have been told."""

import audioop
import uuid
from dataclasses import dataclass

import numpy as np

from agent.audio.chunk import Int16Array

CALLER, CALLED = "+491701234567", "+493012345678"


def mulaw(pcm: Int16Array) -> bytes:
    return audioop.lin2ulaw(pcm.astype("<i2").tobytes(), 2)


def unmulaw(data: bytes) -> Int16Array:
    return np.frombuffer(audioop.ulaw2lin(data, 2), np.int16)


@dataclass
class Audio:
    pcm: Int16Array
    size: int


@dataclass
class Mark:
    name: str


@dataclass
class Clear:
    pass


@dataclass
class Keys:
    digits: str


@dataclass
class Said:
    message: dict


class Side:
    """What a provider sends and understands."""

    name = ""
    rate = 8_000
    has_marks = True
    packet_s = 0.02

    def __init__(self, call_id: str = "") -> None:
        self.stream_id = uuid.uuid4().hex
        self.call_id = call_id or f"call-{self.stream_id[:8]}"
        self._sequence = 0
        self._chunk = 0

    def begin(self) -> list[str]:
        raise NotImplementedError

    def media(self, pcm: Int16Array) -> str | bytes:
        raise NotImplementedError

    def key(self, digit: str) -> str:
        raise NotImplementedError

    def end(self) -> list[str]:
        raise NotImplementedError

    def played(self, mark: str) -> str:
        raise NotImplementedError

    def all_played(self) -> str | None:
        return None

    def heard(self, data: str | bytes) -> Audio | Mark | Clear | Keys | Said:
        raise NotImplementedError

    def _next(self) -> int:
        self._sequence += 1
        return self._sequence
