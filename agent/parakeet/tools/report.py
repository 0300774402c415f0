"""What a tool found, as a table for people and as JSON for programs."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Report:
    """Rows and what is true of all of them.

    Attributes:
        title: Of the table.
        rows: Each with the same keys, in order.
        facts: Machine, model and settings.
        is_good: Whether the tool's question has the answer one hopes for.
    """

    title: str
    rows: Sequence[Mapping[str, Any]]
    facts: Mapping[str, Any] = field(default_factory=dict)
    is_good: bool = True

    def show(self, *, as_json: bool) -> None:
        """Print it."""
        if as_json:
            everything = {"title": self.title, **self.facts, "rows": list(self.rows)}
            print(json.dumps({**everything, "good": self.is_good}, default=str))
            return
        print(self.title)
        for key, value in self.facts.items():
            print(f"  {key}: {value}")
        print(table(self.rows))


def table(rows: Sequence[Mapping[str, Any]]) -> str:
    """Rows under their keys, columns as wide as they need to be."""
    if not rows:
        return "(nothing)"
    heads = list(rows[0])
    cells = [heads, *([_cell(row[head]) for head in heads] for row in rows)]
    widths = [max(len(line[column]) for line in cells) for column in range(len(heads))]
    return "\n".join(
        "  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip()
        for line in cells
    )


def _cell(value: Any) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)
