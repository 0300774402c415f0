"""Keys pressed on a telephone: an entry of digits. Pure."""

from dataclasses import dataclass
from enum import StrEnum

KEYS = frozenset("0123456789*#ABCD")
"""The sixteen keys of ITU-T Q.23."""

_LONGEST_ENTRY = 64


class EntryEnd(StrEnum):
    """Why an entry ended."""

    COMPLETE = "complete"
    FINISHED = "finished"
    TIMEOUT = "timeout"
    CALL_OVER = "call over"


@dataclass(frozen=True, slots=True)
class Entry:
    """What was entered. Its digits are in no text it is shown as: they may be a card's.

    Attributes:
        digits: As pressed, without the finishing key.
        end: Why it ended.
    """

    digits: str
    end: EntryEnd

    def __repr__(self) -> str:
        return f"Entry({len(self.digits)} digits, {self.end.value})"

    __str__ = __repr__


class DigitEntry:
    """Keys on their way to a number. Pure.

    Args:
        count: Digits at most.
        finish: Key that ends the entry early; empty for none.

    Raises:
        ValueError: `count` is not between 1 and 64, or `finish` is no key.
    """

    def __init__(self, count: int, *, finish: str = "#") -> None:
        if not 1 <= count <= _LONGEST_ENTRY:
            raise ValueError(f"an entry has 1 to {_LONGEST_ENTRY} digits, not {count}")
        if finish and finish not in KEYS:
            raise ValueError(f"{finish!r} is no key of a telephone")
        self._count = count
        self._finish = finish
        self._digits = ""
        self.end: EntryEnd | None = None

    def push(self, key: str) -> None:
        """Take a key. What is no key, or comes after the end, is ignored."""
        if self.end or key not in KEYS:
            return
        if key == self._finish:
            self.end = EntryEnd.FINISHED
            return
        self._digits += key
        if len(self._digits) == self._count:
            self.end = EntryEnd.COMPLETE

    def give_up(self, why: EntryEnd) -> None:
        """End an entry that is not complete."""
        self.end = self.end or why

    def result(self) -> Entry:
        """What was entered so far."""
        return Entry(self._digits, self.end or EntryEnd.TIMEOUT)
