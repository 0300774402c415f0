"""The last moments of the user's audio, for those who learn late that speech had begun. Pure."""

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import Int16Array, PcmChunk, samples

PRE_ROLL_SAMPLES = samples(0.36)
"""360 ms: what the recogniser gets from before the moment in which speech was noticed."""


class PreRoll:
    """Keep the newest audio, found by its position on the media clock. Pure.

    Positions, not counts, decide what is where: a stretch that never arrived reads as silence, so a
    gap moves nothing behind it. A full ring drops its oldest samples.

    Args:
        capacity: Samples kept, at the media clock's rate.

    Raises:
        ValueError: The capacity is not positive.
    """

    def __init__(self, capacity: int = PRE_ROLL_SAMPLES) -> None:
        if capacity <= 0:
            raise ValueError(f"the pre-roll must hold at least one sample, not {capacity}")
        self._ring: Int16Array = np.zeros(capacity, np.int16)
        self._start: int | None = None
        self._end = 0

    @property
    def start_sample(self) -> int:
        """Position of the oldest sample kept."""
        return self._end if self._start is None else self._start

    @property
    def end_sample(self) -> int:
        """Position just after the newest sample."""
        return self._end

    def push(self, chunk: PcmChunk) -> None:
        """Add audio at its position.

        It replaces what it overlaps; what is older than the ring reaches is dropped.

        Args:
            chunk: Newer audio, usually, than all before; any length.
        """
        if len(chunk.pcm) == 0:
            return
        if self._start is None:
            self._start = self._end = chunk.start_sample
        self._silence(self._end, chunk.start_sample)
        self._end = max(self._end, chunk.end_sample)
        self._start = max(self._start, self._end - len(self._ring))
        first = max(chunk.start_sample, self._start)
        if first < chunk.end_sample:
            self._ring[self._places(first, chunk.end_sample)] = chunk.pcm[
                first - chunk.start_sample :
            ]

    def since(self, sample: int) -> PcmChunk:
        """Everything from a position on.

        Args:
            sample: Position on the media clock; outside of what is kept it is moved to the nearest
                position inside.

        Returns:
            A copy, up to the newest sample. Empty when nothing is that new.
        """
        first = min(max(sample, self.start_sample), self._end)
        return PcmChunk(self._ring[self._places(first, self._end)].copy(), first)

    def clear(self) -> None:
        """Forget everything, as for a new call."""
        self._start = None
        self._end = 0

    def _silence(self, first: int, stop: int) -> None:
        # After a long gap only its last part still fits; without this bound a hostile position
        # would decide how much memory is touched.
        first = max(first, stop - len(self._ring))
        if first < stop:
            self._ring[self._places(first, stop)] = 0

    def _places(self, first: int, stop: int) -> slice | npt.NDArray[np.int64]:
        start = first % len(self._ring)
        if start + stop - first <= len(self._ring):
            return slice(start, start + stop - first)
        return np.arange(first, stop) % len(self._ring)
