"""What a network does to packets, by seed: loss, delay, jitter, reordering, doubling. Pure."""

import random
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Impairment:
    """A network.

    Attributes:
        loss: Share of packets that never come.
        delay_s: Of every packet.
        jitter_s: Spread of the delay beyond that, uniform; packets may overtake one another.
        double: Share of packets that come twice.
        seed: Of the choice.
    """

    loss: float = 0.0
    delay_s: float = 0.05
    jitter_s: float = 0.0
    double: float = 0.0
    seed: int = 1

    def arrivals(self, packets: Iterable[T], every_s: float = 0.02) -> list[tuple[float, int, T]]:
        """When each packet comes, with its number, in the order of coming.

        Args:
            packets: Sent one after the other.
            every_s: Time between two.
        """
        arrivals = [
            (number * every_s + late_s, number, packet)
            for (number, packet), late in zip(enumerate(packets), self.fates(), strict=False)
            for late_s in late
        ]
        return sorted(arrivals, key=lambda arrival: arrival[:2])

    def fates(self) -> Iterator[list[float]]:
        """What becomes of each packet: how late it comes, once, twice or not at all."""
        chance = random.Random(self.seed)
        while True:
            lost, doubled = chance.random() < self.loss, chance.random() < self.double
            copies = 0 if lost else 1 + doubled
            yield [self.delay_s + chance.uniform(0, self.jitter_s) for _ in range(copies)]
