"""The items of a conversation, as the client knows them. Pure."""

import json
from dataclasses import dataclass, field
from typing import Any

from agent.transports.realtime.commands import Place
from agent.transports.realtime.events import Event, EventError, new_id, text_of

SAMPLES_PER_MS = 24
"""Of the agent's audio, whose clock truncation counts on."""

_CONTENT = {
    "user": ("input_text",),
    "system": ("input_text",),
    # As the API's beta calls it.
    "assistant": ("output_text", "text"),
}

_MOST_TEXT = 64_000


@dataclass(slots=True)
class Item:
    """One item.

    Attributes:
        kind: ``message``, ``function_call`` or ``function_call_output``.
        role: Of a message.
        text: What of a message the context holds; arguments of a call, output of a result.
        is_audio: Whether it was spoken.
        status: As the API writes it.
        name: Of the function that is called.
        call_id: Which a call and its output share.
        words: The agent's spoken words, each with the sample from which on it counts as heard.
        samples: Of the agent's audio, sent so far.
        cut_ms: What of it was heard, as the client said; None where it said nothing.
    """

    kind: str
    id: str
    role: str = ""
    text: str = ""
    is_audio: bool = False
    status: str = "completed"
    name: str = ""
    call_id: str = ""
    words: list[tuple[str, int]] = field(default_factory=list)
    samples: int = 0
    cut_ms: int | None = None

    @property
    def length_ms(self) -> int:
        """Of the audio that was sent and not cut off."""
        sent = self.samples // SAMPLES_PER_MS
        return sent if self.cut_ms is None else min(sent, self.cut_ms)

    def heard_until(self, end_ms: int) -> str:
        """Return the words that are heard by somebody who hears so much of the audio."""
        end = end_ms * SAMPLES_PER_MS
        return " ".join(word for word, heard_from in self.words if heard_from < end)

    def described(self) -> Event:
        """Return it as the API does."""
        item: Event = {"id": self.id, "object": "realtime.item", "type": self.kind}
        item["status"] = self.status
        if self.kind == "function_call":
            return {**item, "name": self.name, "call_id": self.call_id, "arguments": self.text}
        if self.kind == "function_call_output":
            return {**item, "call_id": self.call_id, "output": self.text}
        return {**item, "role": self.role, "content": [self.part()] if self.has_content else []}

    @property
    def has_content(self) -> bool:
        """Whether there is a part to show: an answer that has just begun has none."""
        return bool(self.text or self.status != "in_progress" or self.role != "assistant")

    def message(self) -> dict[str, Any]:
        """Return it as language models take it."""
        if self.kind == "message":
            return {"role": self.role, "content": self.text}
        if self.kind == "function_call_output":
            return {"role": "tool", "tool_call_id": self.call_id, "content": self.text}
        call = {"name": self.name, "arguments": self.text}
        made = {"id": self.call_id, "type": "function", "function": call}
        return {"role": "assistant", "tool_calls": [made]}

    def part(self) -> Event:
        """Return its one part of content."""
        if self.is_audio:
            kind = "input_audio" if self.role == "user" else "output_audio"
            return {"type": kind, "transcript": self.text}
        kind = "output_text" if self.role == "assistant" else "input_text"
        return {"type": kind, "text": self.text}


class Items:
    """All of them, in the order of the conversation."""

    def __init__(self) -> None:
        self._items: list[Item] = []

    @property
    def last_id(self) -> str | None:
        """Of the one an appended item follows."""
        return self._items[-1].id if self._items else None

    def add(self, item: Item, index: int | None = None) -> str | None:
        """Put an item at an index, or at the end; return the id of the one before it."""
        index = len(self._items) if index is None else index
        self._items.insert(index, item)
        return self._items[index - 1].id if index else None

    def index_after(self, previous: Any) -> int | None:
        """Return where an item goes that shall follow another; None for the end.

        Raises:
            EventError: There is no such item.
        """
        if previous is None:
            return None
        if previous == "root":
            return 0
        return self._items.index(self.find(previous, "previous_item_id")) + 1

    def before(self, index: int) -> Item | None:
        """Return the nearest item before an index whose words the context holds."""
        known = [item for item in self._items[:index] if item.kind == "message" and item.text]
        return known[-1] if known else None

    def before_id(self, index: int) -> str | None:
        """Return the id of the item before an index."""
        return self._items[index - 1].id if index else None

    def index(self, item: Item) -> int:
        """Return where an item is."""
        return self._items.index(item)

    def find(self, item_id: Any, place: str = "item_id") -> Item:
        """Return an item.

        Raises:
            EventError: There is none with this id.
        """
        for item in self._items:
            if item.id == item_id:
                return item
        raise EventError("this conversation has no such item", "item_not_found", place)

    def has(self, item_id: str) -> bool:
        """Whether an id is taken."""
        return any(item.id == item_id for item in self._items)

    def call(self, call_id: str) -> Item | None:
        """Return the last call with this id."""
        return self._last("function_call", call_id)

    def is_answered(self, call_id: str) -> bool:
        """Whether a call has its output. Some servers count their calls anew for each answer."""
        call, output = self.call(call_id), self._last("function_call_output", call_id)
        return bool(call and output and self.index(call) < self.index(output))

    def _last(self, kind: str, call_id: str) -> Item | None:
        for item in reversed(self._items):
            if item.kind == kind and item.call_id == call_id:
                return item
        return None

    def correct(self, replaced: str, text: str) -> None:
        """The user said something else, the last time these words were understood."""
        for item in reversed(self._items):
            if item.role == "user" and replaced and replaced in item.text:
                before, _, after = item.text.rpartition(replaced)
                item.text = before + text + after
                return

    def remove(self, item: Item) -> None:
        """Forget an item."""
        self._items.remove(item)

    def place(self, item: Item) -> Place:
        """Say where a message is in the context."""
        after = self._items[self.index(item) + 1 :]
        later = sum(
            other.kind == "message" and (other.role, other.text) == (item.role, item.text)
            for other in after
        )
        return Place(item.role, item.text, later)


def read_item(given: Any) -> Item:
    """Return the item a client wants added.

    Raises:
        EventError: It is none, or of a kind that cannot be added.
    """
    if not isinstance(given, dict):
        raise EventError("item must be an object", "missing_required_parameter", "item")
    item_id = text_of(given, "id", "item.id", "") or new_id("item")
    if len(item_id) > 64:
        raise EventError("item.id has at most 64 characters", "too_long", "item.id")
    kind = given.get("type")
    if kind == "message":
        return _read_message(given, item_id)
    if kind == "function_call":
        name = text_of(given, "name", "item.name")
        arguments = _limited(text_of(given, "arguments", "item.arguments"), "item.arguments")
        _check_arguments(arguments)
        call_id = text_of(given, "call_id", "item.call_id", "") or new_id("call")
        return Item(kind, item_id, text=arguments, name=name, call_id=call_id)
    if kind == "function_call_output":
        output = _limited(text_of(given, "output", "item.output"), "item.output")
        call_id = text_of(given, "call_id", "item.call_id")
        return Item(kind, item_id, text=output, call_id=call_id)
    raise EventError(
        "item.type is message, function_call or function_call_output", param="item.type"
    )


def _read_message(given: Event, item_id: str) -> Item:
    role = given.get("role")
    if not isinstance(role, str) or role not in _CONTENT:
        raise EventError("item.role is user, assistant or system", param="item.role")
    parts = given.get("content")
    if not isinstance(parts, list) or not all(isinstance(part, dict) for part in parts):
        raise EventError("item.content is a list of parts", "invalid_type", "item.content")
    texts = []
    for index, part in enumerate(parts):
        place = f"item.content[{index}]"
        if part.get("type") == "input_audio":
            raise EventError(
                "audio is heard through input_audio_buffer.append", "unsupported_value", place
            )
        if part.get("type") not in _CONTENT[role]:
            raise EventError(f"{place}.type is {_CONTENT[role][0]}", param=f"{place}.type")
        texts.append(text_of(part, "text", f"{place}.text"))
    text = _limited(" ".join(texts).strip(), "item.content")
    if not text:
        raise EventError("a message has words", param="item.content")
    return Item("message", item_id, role=role, text=text)


def _limited(text: str, place: str) -> str:
    if len(text) > _MOST_TEXT:
        raise EventError(f"{place} has at most {_MOST_TEXT} characters", "too_long", place)
    return text


def _check_arguments(arguments: str) -> None:
    try:
        read = json.loads(arguments)
    except (ValueError, RecursionError):
        read = None
    if not isinstance(read, dict):
        raise EventError("arguments are a JSON object, as text", param="item.arguments")
