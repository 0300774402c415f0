"""Answers outside the conversation, in text: any number at once, beside what is said. Pure."""

from collections.abc import Callable
from typing import Any

from agent.transports.realtime.events import EventError
from agent.transports.realtime.responses import Response, Send, failed

_MOST = 16
"""That are being made. Each is a request to the language model."""


class Asides:
    """Responses that no conversation keeps. Pure."""

    def __init__(self, send: Send, described: Callable[[], dict[str, Any]]) -> None:
        """Begin without any.

        Args:
            send: Takes events.
            described: What is said of a response throughout.
        """
        self._send = send
        self._described = described
        self._open: dict[str, Response] = {}

    def request(self, metadata: Any) -> str:
        """Begin one, and return its id.

        Raises:
            EventError: There are too many already.
        """
        if len(self._open) >= _MOST:
            raise EventError(
                f"{_MOST} responses are being made: wait until one is done",
                "conversation_already_has_active_response",
            )
        response = Response(self._send, self._described(), None, metadata=metadata)
        self._open[response.id] = response
        return response.id

    def has(self, response_id: object) -> bool:
        """Whether one of this id is being made."""
        return response_id in self._open

    def wrote(self, response_id: str, text: str) -> None:
        """Tell what the language model writes; of one that was cancelled nothing is told."""
        if response := self._open.get(response_id):
            response.write(text)

    def called(self, response_id: str, name: str, call_id: str, arguments: str) -> None:
        """Tell which function the language model calls. Its output is nobody's business."""
        if response := self._open.get(response_id):
            response.close_message("completed")
            response.call(name, call_id, arguments)

    def ended(self, response_id: str, failure: str = "") -> None:
        """It is done, or has failed for a reason."""
        if response := self._open.pop(response_id, None):
            response.close_message("incomplete" if failure else "completed")
            response.close(
                "failed" if failure else "completed", failed(failure) if failure else None
            )

    def cancel(self, response_id: str) -> None:
        """The client does not want it any more."""
        response = self._open.pop(response_id)
        response.close_message("incomplete")
        response.close("cancelled", {"type": "cancelled", "reason": "client_cancelled"})
