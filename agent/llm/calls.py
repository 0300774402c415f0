"""Tool calls that a small model writes into its answer instead of making them. Pure.

The embedded model chooses the right tool and arguments, but leaves out the marks by which the
server would know a call: it answers with the bare JSON, sometimes in a code fence. Read aloud,
that would be the worst answer of all.
"""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

_MARKS = "{`<"
"""What a call begins with. Answers are to be spoken, so none of these belongs into one."""


@dataclass(frozen=True, slots=True)
class WrittenCall:
    """A call found in the text.

    Attributes:
        name: Of the tool.
        arguments: Not yet checked.
    """

    name: str
    arguments: dict[str, Any]


class CallReader:
    """Separates what is to be spoken from what is to be done, as the text streams in. Pure.

    Args:
        names: Of the tools on offer. Any other JSON is no call, and is not spoken either.
    """

    def __init__(self, names: Collection[str]) -> None:
        self._names = names
        self._held = ""

    def push(self, text: str) -> str:
        """Take a piece of the answer; return what of it may be spoken."""
        if self._held:
            self._held += text
            return ""
        at = min((at for mark in _MARKS if (at := text.find(mark)) >= 0), default=len(text))
        self._held = text[at:]
        return text[:at]

    def finish(self) -> list[WrittenCall]:
        """The answer is over; return the calls in it, each once."""
        decoder = json.JSONDecoder()
        calls: list[WrittenCall] = []
        at = self._held.find("{")
        while at >= 0:
            try:
                value, end = decoder.raw_decode(self._held, at)
            except (ValueError, RecursionError):
                end = at + 1
            else:
                call = self._call(value)
                if call and call not in calls:
                    calls.append(call)
            at = self._held.find("{", end)
        return calls

    def _call(self, value: Any) -> WrittenCall | None:
        if not isinstance(value, dict) or value.get("name") not in self._names:
            return None
        arguments = value.get("arguments", value.get("parameters", {}))
        return WrittenCall(value["name"], arguments) if isinstance(arguments, dict) else None


def as_notes(messages: Sequence[Any]) -> list[Any]:
    """Return a conversation with calls and their results told as notes.

    Shown a call that it has made, the small model makes it again instead of telling the result.
    """
    shown: list[Any] = []
    for message in messages:
        if isinstance(message, dict) and message.get("tool_calls"):
            continue
        if isinstance(message, dict) and message.get("role") == "tool":
            # Worded to be repeated, which is what it does with a note.
            told = str(message.get("content")).strip('"')
            shown.append({"role": "system", "content": f"Tell the caller: {told}"})
        else:
            shown.append(message)
    return shown
