"""How long to wait before a dead server is started again. Pure."""

from dataclasses import dataclass


@dataclass(slots=True)
class RestartDelay:
    """Wait longer each time, because a server that dies at once takes the machine with it.

    Attributes:
        first_s: Wait after the second death in a row; after the first there is none, for a
            single crash should cost a caller no more than loading takes.
        most_s: Longest wait.
        stable_s: A life this long shows that the server works: the count begins anew.
    """

    first_s: float = 0.5
    most_s: float = 30.0
    stable_s: float = 60.0
    _deaths: int = 0

    def after(self, lived_s: float) -> float:
        """Return the wait in seconds after a server that answered for `lived_s` has died.

        Args:
            lived_s: 0 for one that never became ready.
        """
        if lived_s >= self.stable_s:
            self._deaths = 0
        self._deaths += 1
        if self._deaths == 1:
            return 0.0
        # The exponent is bounded: 2.0 ** 1024 overflows after a night of restarts.
        return min(self.most_s, self.first_s * 2.0 ** min(self._deaths - 2, 16))
