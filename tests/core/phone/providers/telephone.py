"""A telephone behind a provider."""

import asyncio
from dataclasses import dataclass, field

import numpy as np

from agent.audio.chunk import Int16Array
from tests.core.phone.providers.side import Audio, Clear, Mark, Side


@dataclass
class Telephone:
    """Plays what it is sent, one after the other, and says so where its provider does.

    Attributes:
        side: Its provider.
        network_s: One way to the ear.
        arrivals: When each audio message came, and its size.
        events: All else that was sent, with its time.
    """

    side: Side
    network_s: float = 0.05
    arrivals: list[tuple[float, int]] = field(default_factory=list)
    events: list[tuple[float, object]] = field(default_factory=list)
    _pieces: list[tuple[float, Int16Array]] = field(default_factory=list)
    _free_at: float = 0.0
    _marks: dict[str, asyncio.TimerHandle] = field(default_factory=dict)
    _idle: asyncio.TimerHandle | None = None
    says: asyncio.Queue = field(default_factory=asyncio.Queue)

    def take(self, data: str | bytes) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time()
        heard = self.side.heard(data)
        match heard:
            case Audio():
                self.arrivals.append((now, heard.size))
                start = max(self._free_at, now + self.network_s)
                self._pieces.append((start, heard.pcm))
                self._free_at = start + len(heard.pcm) / self.side.rate
                if self._idle:
                    self._idle.cancel()
                self._idle = loop.call_at(self._free_at, self._ran_out)
            case Mark():
                self.events.append((now, heard))
                due = max(self._free_at, now)
                self._marks[heard.name] = loop.call_at(due, self._passed, heard.name)
            case Clear():
                self.events.append((now, heard))
                self._drop(now)
            case _:
                self.events.append((now, heard))

    def of(self, kind: type) -> list:
        return [event for _, event in self.events if isinstance(event, kind)]

    def track(self, since_s: float, until_s: float) -> Int16Array:
        """What was heard between two times of the loop's clock."""
        rate = self.side.rate
        track = np.zeros(round((until_s - since_s) * rate), np.int16)
        for start_s, pcm in self._pieces:
            at = round((start_s - since_s) * rate)
            piece = pcm[: max(0, len(track) - at)]
            track[at : at + len(piece)] = piece
        return track

    def _drop(self, now: float) -> None:
        rate = self.side.rate
        kept = []
        for start_s, pcm in self._pieces:
            left = round((now - start_s) * rate)
            if left > 0:
                kept.append((start_s, pcm[:left]))
        self._pieces = kept
        self._free_at = now
        for name in list(self._marks):
            self._passed(name)

    def _passed(self, name: str) -> None:
        self._marks.pop(name).cancel()
        self.says.put_nowait(self.side.played(name))

    def _ran_out(self) -> None:
        if message := self.side.all_played():
            self.says.put_nowait(message)


class MemoryLine:
    """A socket between the transport and a telephone in one process."""

    def __init__(self, telephone: Telephone) -> None:
        self._telephone = telephone
        self.closed_at: float | None = None

    async def receive(self) -> str | bytes | None:
        return await self._telephone.says.get()

    async def send(self, data: str | bytes) -> bool:
        if self.closed_at is not None:
            return False
        self._telephone.take(data)
        if isinstance(data, str) and '"type": "disconnect"' in data:
            # Genesys closes, and waits for our word on it.
            for message in self._telephone.side.end():
                self._telephone.says.put_nowait(message)
        return True

    async def close(self) -> None:
        if self.closed_at is None:
            self.closed_at = asyncio.get_running_loop().time()
            self._telephone.says.put_nowait(None)
