"""When a growing utterance is worth reading again. Pure."""

from collections import deque
from collections.abc import Sequence
from itertools import pairwise


class DecodeSchedule:
    """Counts speech and says at which sample a partial result is due. Pure.

    Silence does not count: nothing new is said in it, and the pre-roll in front of an utterance is
    mostly that.
    """

    def __init__(self, first: Sequence[int], every: int) -> None:
        """Start an utterance.

        Args:
            first: Speech before each of the first partials, in samples, ascending.
            every: Speech between those that follow, in samples.
        """
        self._every = every
        self._steps = deque(after - before for before, after in pairwise((0, *first)))
        self._left = self._next_step()

    def until_due(self, offered: int) -> int:
        """How many of the `offered` speech samples to take before asking `advance`."""
        return min(offered, self._left)

    def comes_within(self, offered: int) -> bool:
        """Whether one is due within the next `offered` speech samples."""
        return offered >= self._left

    def advance(self, taken: int) -> bool:
        """Count `taken` speech samples, at most what `until_due` allowed; True when one is due."""
        self._left -= taken
        if self._left > 0:
            return False
        self._left = self._next_step()
        return True

    def _next_step(self) -> int:
        return self._steps.popleft() if self._steps else self._every
