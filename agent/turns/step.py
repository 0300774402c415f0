"""What a judge of the turn policy asks for. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from agent.turns.events import DecisionKind
from agent.turns.floor import Signal

Figures = Mapping[str, float | str]


@dataclass(frozen=True, slots=True)
class Step:
    """A signal to the floor, a decision to announce, or both, in this order.

    Attributes:
        reason: In words.
        signal: What the floor is told.
        kind: What is announced besides what the floor makes of the signal.
        closes: Whether nothing that was heard belongs to what comes next.
        onset: Where the turn that the signal may open has begun.
        figures: What it rests on, by name.
    """

    reason: str
    signal: Signal | None = None
    kind: DecisionKind | None = None
    closes: bool = False
    onset: int = 0
    figures: Figures = field(default_factory=dict)
