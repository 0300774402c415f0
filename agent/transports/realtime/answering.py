"""The agent's side: responses, what of them was sent, and what was heard. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from agent.transports.realtime.events import Event, new_id
from agent.transports.realtime.items import Item, Items

Send = Callable[[Event], None]


@dataclass(slots=True)
class _Response:
    id: str
    metadata: Any = None
    is_owed: bool = False
    output: list[Item] = field(default_factory=list)


class Answering:
    """Turns what the agent says and calls into responses. Pure.

    A response is told of when there is something to tell, or when the client asked for it. Its
    transcript grows by the words that were heard, so it never holds others.
    """

    def __init__(self, items: Items, send: Send, described: Callable[[], Event]) -> None:
        """Begin silent.

        Args:
            items: Of the conversation.
            send: Takes events.
            described: What all responses share.
        """
        self._items = items
        self._send = send
        self._described = described
        self._response: _Response | None = None
        self._message: Item | None = None
        self._index = self._queued = 0
        self._told = ""
        self._calls_here = False

    @property
    def is_active(self) -> bool:
        """Whether a response has begun and not ended."""
        return self._response is not None

    @property
    def active_id(self) -> str | None:
        """Of the response that has begun and not ended."""
        return self._response.id if self._response else None

    @property
    def speaking(self) -> Item | None:
        """The message that is being said."""
        return self._message

    def request(self, metadata: Any = None) -> None:
        """The client has asked for a response."""
        self._begin(metadata).is_owed = True

    def queued(self, samples: int, words: Sequence[tuple[str, int]]) -> None:
        """Note a packet that is about to be sent.

        Args:
            samples: Its length at 24 kHz.
            words: Those that count as heard within it, each with the sample.
        """
        item = self._message or self._begin_message()
        item.words += [(word, self._queued + offset) for word, offset in words]
        self._queued += samples

    def sent(self, data: str, samples: int) -> None:
        """Send a packet, as it travels; what comes behind an interruption is dropped."""
        if self._message is None:
            return
        self._message.samples += samples
        self._send({"type": "response.output_audio.delta", **self._part_place(), "delta": data})

    def heard(self, text: str) -> None:
        """Tell which words of the message have been heard."""
        item = self._message
        if item is None or not text.startswith(self._told):
            return
        item.text = text
        if news := text[len(self._told) :]:
            self._told = text
            self._send(
                {
                    "type": "response.output_audio_transcript.delta",
                    **self._part_place(),
                    "delta": news,
                }
            )

    def called(self, name: str, call_id: str, arguments: str) -> None:
        """The agent wants a function run at the client."""
        response = self._response or self._begin()
        item = Item("function_call", new_id("item"), text=arguments, name=name, call_id=call_id)
        place = {"response_id": response.id, "output_index": len(response.output)}
        response.output.append(item)
        previous = self._items.add(item)
        unfinished = {**item.described(), "arguments": "", "status": "in_progress"}
        self._send({"type": "response.output_item.added", **place, "item": unfinished})
        self._added(unfinished, previous)
        named = {**place, "item_id": item.id, "call_id": call_id}
        kind = "response.function_call_arguments"
        self._send({"type": f"{kind}.delta", **named, "delta": arguments})
        self._send({"type": f"{kind}.done", **named, "name": name, "arguments": arguments})
        self._done(item, place, previous)

    def called_here(self) -> None:
        """The agent runs a tool of its own: what it says next belongs to the same response."""
        self._calls_here = True
        (self._response or self._begin()).is_owed = True

    def ended(self, *, more_follows: bool = False) -> None:
        """What the agent had to say has been heard.

        Args:
            more_follows: It only bridged the time until the answer, which belongs to the same
                response where one is owed: asked for by the client, or behind a tool.
        """
        self._close_message("completed")
        if self._response is None or (more_follows and self._response.is_owed):
            return
        stays_open, self._calls_here = self._calls_here, False
        if not stays_open:
            self._close("completed", None)

    def interrupted(self, *, by_client: bool) -> None:
        """The agent was cut off."""
        self._calls_here = False
        self._close_message("incomplete")
        if self._response:
            reason = "client_cancelled" if by_client else "turn_detected"
            self._close("cancelled", {"type": "cancelled", "reason": reason})

    def _begin(self, metadata: Any = None) -> _Response:
        self._response = response = _Response(new_id("resp"), metadata)
        event = self._response_event(response, "in_progress", None)
        self._send({"type": "response.created", "response": event})
        return response

    def _begin_message(self) -> Item:
        response = self._response or self._begin()
        self._message = item = Item(
            "message", new_id("item"), role="assistant", is_audio=True, status="in_progress"
        )
        self._index, self._queued, self._told = len(response.output), 0, ""
        response.output.append(item)
        previous = self._items.add(item)
        place = {"response_id": response.id, "output_index": self._index}
        self._send({"type": "response.output_item.added", **place, "item": item.described()})
        self._added(item.described(), previous)
        part = {"type": "output_audio", "transcript": ""}
        self._send({"type": "response.content_part.added", **self._part_place(), "part": part})
        return item

    def _close_message(self, status: str) -> None:
        item = self._message
        if item is None or self._response is None:
            return
        place = self._part_place()
        self._send({"type": "response.output_audio.done", **place})
        kind = "response.output_audio_transcript.done"
        self._send({"type": kind, **place, "transcript": item.text})
        item.status = status
        self._send({"type": "response.content_part.done", **place, "part": item.part()})
        index = self._items.index(item)
        before = self._items.before_id(index)
        self._done(item, {"response_id": place["response_id"], "output_index": self._index}, before)
        self._message = None

    def _close(self, status: str, details: Event | None) -> None:
        assert self._response
        event = self._response_event(self._response, status, details)
        self._response = None
        self._send({"type": "response.done", "response": event})

    def _added(self, item: Event, previous: str | None) -> None:
        added = {"type": "conversation.item.added", "previous_item_id": previous, "item": item}
        self._send(added)

    def _done(self, item: Item, place: Event, previous: str | None) -> None:
        said = item.described()
        self._send({"type": "response.output_item.done", **place, "item": said})
        done = {"type": "conversation.item.done", "previous_item_id": previous, "item": said}
        self._send(done)

    def _part_place(self) -> Event:
        assert self._response and self._message
        return {
            "response_id": self._response.id,
            "item_id": self._message.id,
            "output_index": self._index,
            "content_index": 0,
        }

    def _response_event(self, response: _Response, status: str, details: Event | None) -> Event:
        return {
            **self._described(),
            "object": "realtime.response",
            "id": response.id,
            "status": status,
            "status_details": details,
            "output": [item.described() for item in response.output],
            "metadata": response.metadata,
            "usage": None,
        }
