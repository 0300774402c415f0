"""The agent's side: responses, what of them was sent, and what was heard. Pure."""

from collections.abc import Callable, Sequence
from typing import Any

from agent.transports.realtime.events import Event
from agent.transports.realtime.items import Item, Items
from agent.transports.realtime.responses import Response, Send, failed

Describe = Callable[[bool | None, bool], Event]
"""Given whether a response writes, None for what the session says, and whether it is kept: what is
said of it throughout."""


class Answering:
    """Turns what the agent says, writes and calls into responses, one after the other. Pure.

    A response is told of when there is something to tell, or when the client asked for it. The
    transcript of a spoken one grows by the words that were heard, so it never holds others.
    """

    def __init__(
        self,
        items: Items,
        send: Send,
        described: Describe,
        on_closed: Callable[[Item, bool], None] = lambda item, is_kept: None,
    ) -> None:
        """Begin silent.

        Args:
            items: Of the conversation.
            send: Takes events.
            described: What is said of a response throughout.
            on_closed: Told of each message that is over, and whether the conversation keeps it.
        """
        self._items = items
        self._send = send
        self._described = described
        self._on_closed = on_closed
        self._response: Response | None = None
        self._queued = 0
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
    def writes(self) -> bool | None:
        """Whether the response that has begun is one in text; None where none has."""
        return self._response.writes if self._response else None

    @property
    def speaking(self) -> Item | None:
        """The message that is being said."""
        item = self._response.message if self._response else None
        return item if item and item.is_audio else None

    def request(
        self, metadata: Any = None, *, writes: bool | None = None, is_kept: bool = True
    ) -> None:
        """The client has asked for a response."""
        self._begin(metadata, writes=writes, is_kept=is_kept).is_owed = True

    def queued(self, samples: int, words: Sequence[tuple[str, int]]) -> None:
        """Note a packet that is about to be sent.

        Args:
            samples: Its length at 24 kHz.
            words: Those that count as heard within it, each with the sample.
        """
        item = self.speaking or self._begin_message()
        item.words += [(word, self._queued + offset) for word, offset in words]
        self._queued += samples

    def sent(self, data: str, samples: int) -> None:
        """Send a packet, as it travels; what comes behind an interruption is dropped."""
        item = self.speaking
        if item is None or self._response is None:
            return
        item.samples += samples
        place = self._response.place()
        self._send({"type": "response.output_audio.delta", **place, "delta": data})

    def heard(self, text: str) -> None:
        """Tell which words of the message have been heard."""
        item = self.speaking
        if item is None or self._response is None or not text.startswith(self._told):
            return
        item.text = text
        if news := text[len(self._told) :]:
            self._told = text
            self._send(
                {
                    "type": "response.output_audio_transcript.delta",
                    **self._response.place(),
                    "delta": news,
                }
            )

    def wrote(self, text: str) -> None:
        """Tell what the agent writes."""
        if self.speaking and self._response:
            self._response.close_message("completed")
        (self._response or self._begin()).write(text)

    def called(self, name: str, call_id: str, arguments: str) -> None:
        """The agent wants a function run at the client."""
        (self._response or self._begin()).call(name, call_id, arguments)

    def called_here(self) -> None:
        """The agent runs a tool of its own: what it says next belongs to the same response."""
        self._calls_here = True
        (self._response or self._begin()).is_owed = True

    def ended(self, *, more_follows: bool = False, failure: str = "") -> None:
        """What the agent had to say has been heard.

        Args:
            more_follows: It only bridged the time until the answer, which belongs to the same
                response where one is owed: asked for by the client, or behind a tool.
            failure: Why there is no answer.
        """
        response = self._response
        if response is None:
            if not failure:
                return
            response = self._begin()
        response.close_message("incomplete" if failure else "completed")
        if failure:
            self._calls_here = False
            self._close("failed", failed(failure))
            return
        if more_follows and response.is_owed:
            return
        stays_open, self._calls_here = self._calls_here, False
        if not stays_open:
            self._close("completed", None)

    def interrupted(self, *, by_client: bool) -> None:
        """The agent was cut off."""
        self._calls_here = False
        if self._response:
            self._response.close_message("incomplete")
            reason = "client_cancelled" if by_client else "turn_detected"
            self._close("cancelled", {"type": "cancelled", "reason": reason})

    def _begin(
        self, metadata: Any = None, *, writes: bool | None = None, is_kept: bool = True
    ) -> Response:
        self._response = Response(
            self._send,
            self._described(writes, is_kept),
            self._items if is_kept else None,
            metadata=metadata,
            on_closed=lambda item: self._on_closed(item, is_kept),
        )
        return self._response

    def _begin_message(self) -> Item:
        response = self._response or self._begin()
        response.close_message("completed")
        self._queued, self._told = 0, ""
        return response.open(is_audio=True)

    def _close(self, status: str, details: Event | None) -> None:
        assert self._response
        response, self._response = self._response, None
        response.close(status, details)
