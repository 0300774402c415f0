"""Which of the server's slots a session talks to. Pure."""


class SlotPool:
    """Give each session a slot of its own.

    A slot keeps the keys and values of the last prompt it saw. Two sessions that take turns on
    one slot throw out each other's conversation and pay for reading it in again.
    """

    def __init__(self, count: int) -> None:
        """Own the slots 0 to `count` - 1.

        Args:
            count: How many the server was started with.
        """
        self._free = set(range(count))
        self._leased: set[int] = set()

    def take(self) -> int | None:
        """Lease a slot.

        Returns:
            The lowest free slot; None when all are taken. A session without a slot is still
            served: the server picks the slot whose prompt is most alike.
        """
        if not self._free:
            return None
        slot = min(self._free)
        self._free.remove(slot)
        self._leased.add(slot)
        return slot

    def give_back(self, slot: int | None) -> None:
        """End the lease.

        Args:
            slot: What `take` returned.

        Raises:
            ValueError: The slot is not leased.
        """
        if slot is None:
            return
        if slot not in self._leased:
            raise ValueError(f"slot {slot} is not leased")
        self._leased.remove(slot)
        self._free.add(slot)
