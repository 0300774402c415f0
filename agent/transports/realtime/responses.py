"""One response, and the events by which the client is told of it. Pure."""

from collections.abc import Callable
from typing import Any

from agent.transports.realtime.events import Event, new_id
from agent.transports.realtime.items import Item, Items

Send = Callable[[Event], None]

Closed = Callable[[Item], None]


class Response:
    """A response from its beginning to its end. Pure.

    Attributes:
        id: Of the response.
        writes: Whether it answers in text, without a voice.
        is_owed: Whether the client waits for an answer of the model's: a line that bridges the
            time until then does not end it.
        message: The one that is being said or written.
        index: Of that message in the output.
    """

    def __init__(
        self,
        send: Send,
        described: Event,
        items: Items | None,
        *,
        metadata: Any = None,
        on_closed: Closed = lambda item: None,
    ) -> None:
        """Begin, and tell so.

        Args:
            send: Takes events.
            described: What is said of it from its beginning to its end.
            items: Of the conversation; None where it is no part of it.
            metadata: The client's own.
            on_closed: Told of each message that is over.
        """
        self.id = new_id("resp")
        self.writes = described["output_modalities"] == ["text"]
        self.is_owed = False
        self.message: Item | None = None
        self.index = 0
        self._send = send
        self._described = {**described, "metadata": metadata}
        self._items = items
        self._on_closed = on_closed
        self._output: list[Item] = []
        self._send({"type": "response.created", "response": self._event("in_progress", None)})

    @property
    def is_kept(self) -> bool:
        """Whether what it says becomes part of the conversation."""
        return self._items is not None

    def open(self, *, is_audio: bool) -> Item:
        """Begin a message."""
        self.message = item = Item(
            "message", new_id("item"), role="assistant", is_audio=is_audio, status="in_progress"
        )
        previous = self._add(item)
        self.index = len(self._output) - 1
        place = {"response_id": self.id, "output_index": self.index}
        self._send({"type": "response.output_item.added", **place, "item": item.described()})
        self._tell_conversation("added", item.described(), previous)
        self._send({"type": "response.content_part.added", **self.place(), "part": _part(item)})
        return item

    def write(self, text: str) -> None:
        """Add to a written message."""
        item = self.message or self.open(is_audio=False)
        item.text += text
        self._send({"type": "response.output_text.delta", **self.place(), "delta": text})

    def call(self, name: str, call_id: str, arguments: str) -> None:
        """Have a function run at the client."""
        item = Item("function_call", new_id("item"), text=arguments, name=name, call_id=call_id)
        previous = self._add(item)
        place = {"response_id": self.id, "output_index": len(self._output) - 1}
        unfinished = {**item.described(), "arguments": "", "status": "in_progress"}
        self._send({"type": "response.output_item.added", **place, "item": unfinished})
        self._tell_conversation("added", unfinished, previous)
        named = {**place, "item_id": item.id, "call_id": call_id}
        kind = "response.function_call_arguments"
        self._send({"type": f"{kind}.delta", **named, "delta": arguments})
        self._send({"type": f"{kind}.done", **named, "name": name, "arguments": arguments})
        self._done(item, place, previous)

    def close_message(self, status: str) -> None:
        """End the message, if there is one."""
        item = self.message
        if item is None:
            return
        place = self.place()
        if item.is_audio:
            self._send({"type": "response.output_audio.done", **place})
            kind = "response.output_audio_transcript.done"
            self._send({"type": kind, **place, "transcript": item.text})
        else:
            self._send({"type": "response.output_text.done", **place, "text": item.text})
        item.status = status
        self._send({"type": "response.content_part.done", **place, "part": _part(item)})
        before = self._items.before_id(self._items.index(item)) if self._items else None
        self._done(item, {"response_id": self.id, "output_index": self.index}, before)
        self.message = None
        self._on_closed(item)

    def close(self, status: str, details: Event | None = None) -> None:
        """End the response."""
        self._send({"type": "response.done", "response": self._event(status, details)})

    def place(self) -> Event:
        """Say where the open message is."""
        assert self.message
        return {
            "response_id": self.id,
            "item_id": self.message.id,
            "output_index": self.index,
            "content_index": 0,
        }

    def _add(self, item: Item) -> str | None:
        self._output.append(item)
        return self._items.add(item) if self._items else None

    def _done(self, item: Item, place: Event, previous: str | None) -> None:
        said = item.described()
        self._send({"type": "response.output_item.done", **place, "item": said})
        self._tell_conversation("done", said, previous)

    def _tell_conversation(self, kind: str, item: Event, previous: str | None) -> None:
        if self._items is not None:
            told = {"type": f"conversation.item.{kind}", "previous_item_id": previous}
            self._send({**told, "item": item})

    def _event(self, status: str, details: Event | None) -> Event:
        return {
            **self._described,
            "object": "realtime.response",
            "id": self.id,
            "status": status,
            "status_details": details,
            "output": [item.described() for item in self._output],
            "usage": None,
        }


def _part(item: Item) -> Event:
    # These events call their part otherwise than items do.
    if item.is_audio:
        return {"type": "audio", "transcript": item.text}
    return {"type": "text", "text": item.text}


def failed(message: str) -> Event:
    """Say why a response has failed, as its `status_details`."""
    return {"type": "failed", "error": {"type": "server_error", "code": None, "message": message}}
