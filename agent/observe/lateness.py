"""How late packets are against their own schedule. Pure."""


class Lateness:
    """Compares each packet with the earliest schedule the ones before it allow.

    A packet that comes early moves the schedule: what is measured is the jitter a listener's
    buffer must hide, and not how far ahead the sender works. Seconds are an argument.
    """

    def __init__(self) -> None:
        self._due_s: float | None = None

    def push(self, now_s: float, length_s: float) -> float:
        """Take a packet of `length_s`; gives its lateness in seconds, 0 for the first."""
        due_s = now_s if self._due_s is None else min(self._due_s, now_s)
        self._due_s = due_s + length_s
        return now_s - due_s

    def restart(self) -> None:
        """Speech stopped; the next packet is a first one."""
        self._due_s = None
