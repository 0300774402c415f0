"""Audio leaves a call at the pace it sounds: one packet every 20 ms, by the event loop's clock."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

PACKET_S = 0.02

_LOW_WATER_S = 0.02
"""A write returns once no more than this waits: with the packet written next, 40 ms at most."""

_GRACE_S = 0.02
"""How long a packet in the middle of speech waits for its audio. The peer's own buffer hides a late
packet; silence in its place would be heard."""

_LARGEST_BURST_S = 0.2
"""If the loop stood still for longer, the stream goes on now instead of being caught up with."""

_MOST_FED_S = 0.1
"""Of another telephone's audio: more would be heard as delay for the rest of the call."""

_LATEST_MS = 200


class Lateness:
    """How late packets left, counted by whole milliseconds."""

    def __init__(self) -> None:
        self._counts = [0] * (_LATEST_MS + 1)

    def add(self, late_s: float) -> None:
        """Count a packet."""
        self._counts[max(0, min(_LATEST_MS, int(late_s * 1000)))] += 1

    def merge(self, other: "Lateness") -> None:
        """Count all of another's packets too."""
        self._counts = [a + b for a, b in zip(self._counts, other._counts, strict=True)]

    @property
    def packets(self) -> int:
        """How many left."""
        return sum(self._counts)

    def percentile_s(self, share: float) -> float:
        """Lateness that `share` of the packets, 0 to 1, did not exceed; to the next millisecond."""
        wanted, seen = share * self.packets, 0
        for ms, count in enumerate(self._counts):
            seen += count
            if seen >= wanted:
                return (ms + 1) / 1000
        return 0.0


class Overdue:
    """Counts the audio that does not come, so that silence can stand in for it. Pure.

    A sender may suppress silence, and who waits for the end of a turn must not wait for the next
    word.
    """

    _PATIENCE_S = 0.2
    _MARGIN_S = 0.1
    """How far what is filled in stays behind, so that late audio finds its place."""

    def __init__(self) -> None:
        self.silent_s = 0.0
        """Since anything came."""
        self._filled_s = 0.0

    def arrived(self) -> None:
        """Something has come."""
        self.silent_s = self._filled_s = 0.0

    def passed(self, elapsed_s: float) -> float:
        """Let time pass in which nothing came.

        Args:
            elapsed_s: Since the last call, by the caller's clock. No more than two packets are
                believed: a loop that stood still has audio waiting in the socket.

        Returns:
            Seconds to fill in now; often 0.
        """
        self.silent_s += min(elapsed_s, 2 * PACKET_S)
        if self.silent_s < self._PATIENCE_S:
            return 0.0
        overdue_s = self.silent_s - self._MARGIN_S - self._filled_s
        self._filled_s += overdue_s
        return overdue_s


class PacedQueue:
    """Takes audio as it comes and gives it at the pace it sounds.

    The queue holds 40 ms at most; full, it makes the writer wait.

    Args:
        sample_rate: Of the audio, 16-bit mono, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._packet_bytes = 2 * round(PACKET_S * sample_rate)
        self._low_water = 2 * round(_LOW_WATER_S * sample_rate)
        self._most_fed = 2 * round(_MOST_FED_S * sample_rate)
        self._queue = bytearray()
        self._taken = asyncio.Event()
        self._written = asyncio.Event()
        self._is_closed = False
        self._is_paused = False
        self._is_speaking = False
        self.lateness = Lateness()
        self.on_sent: Callable[[bytes], None] = lambda pcm: None
        """Told of every packet of audio as it leaves."""

    async def write(self, pcm: bytes) -> bool:
        """Queue audio; return when there is room for more.

        Returns:
            False once the queue is closed.
        """
        if self._is_closed:
            return False
        self._queue += pcm
        self._written.set()
        while len(self._queue) > self._low_water and not self._is_closed:
            await self._change()
        return not self._is_closed

    def feed(self, pcm: bytes) -> None:
        """Queue audio that comes at the pace it sounds; what is more than 0.1 s behind is lost."""
        if not self._is_closed:
            self._queue += pcm
            del self._queue[: max(0, len(self._queue) - self._most_fed)]
            self._written.set()

    async def drain(self) -> None:
        """Wait until everything written has left; not while paused, when nobody would hear it."""
        while self._queue and not self._is_closed and not self._is_paused:
            await self._change()

    def clear(self) -> None:
        """Drop what has not left yet."""
        self._queue.clear()
        self._taken.set()

    def pause(self, paused: bool) -> None:
        """Keep audio back, or let it go on from where it was."""
        self._is_paused = paused
        self._taken.set()

    def close(self) -> None:
        """End the stream and let go who waits for it."""
        self._is_closed = True
        self._queue.clear()
        self._taken.set()
        self._written.set()

    async def packets(self) -> AsyncIterator[bytes | None]:
        """Give 20 ms each time they are due, None where there is nothing to send, until closed."""
        now = asyncio.get_running_loop().time
        due = now()
        while not self._is_closed:
            await asyncio.sleep(max(0.0, due - now()))
            late = now() - due
            self.lateness.add(late)
            if late > _LARGEST_BURST_S:
                due = now()
            if self._is_speaking and not self._queue and not self._is_paused:
                await self._until_written()
            yield self._take()
            due += PACKET_S

    def _take(self) -> bytes | None:
        self._is_speaking = bool(self._queue) and not self._is_paused
        if not self._is_speaking:
            return None
        pcm = bytes(self._queue[: self._packet_bytes])
        del self._queue[: self._packet_bytes]
        self._taken.set()
        pcm = pcm.ljust(self._packet_bytes, b"\0")
        self.on_sent(pcm)
        return pcm

    async def _change(self) -> None:
        self._taken.clear()
        await self._taken.wait()

    async def _until_written(self) -> None:
        self._written.clear()
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(self._written.wait(), _GRACE_S)
