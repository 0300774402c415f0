"""Events as they travel, their ids, and what makes one wrong. Pure."""

import json
import secrets
from typing import Any

Event = dict[str, Any]

MOST_CHARACTERS = 4 << 20
"""Of one event: a minute of audio. The server lets no longer message in."""

_DEEPEST = 32
"""Levels of arrays and objects in an event; a tool's schema has about ten."""


class EventError(Exception):
    """An event of the client's that cannot be done. It is told so, and the session goes on.

    Attributes:
        code: For programs.
        param: Where in the event, with dots.
    """

    def __init__(self, message: str, code: str = "invalid_value", param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


def new_id(kind: str) -> str:
    """Return an id nobody else has, such as ``item_5f1c...``."""
    return f"{kind}_{secrets.token_hex(10)}"


def read_event(text: str) -> Event:
    """Parse one message.

    Raises:
        EventError: It is no event.
    """
    if len(text) > MOST_CHARACTERS:
        raise EventError(f"an event has at most {MOST_CHARACTERS >> 20} Mi characters", "too_long")
    try:
        event = json.loads(text, parse_constant=_no_number)
        if "\\ud" in text.lower():
            # Half a character is valid JSON, and no text that could be passed on.
            json.dumps(event, ensure_ascii=False).encode()
    except (ValueError, RecursionError):
        raise EventError("an event is a JSON object", "invalid_json") from None
    if not isinstance(event, dict):
        raise EventError("an event is a JSON object", "invalid_json")
    if _is_deeper(event, _DEEPEST):
        raise EventError(f"an event has at most {_DEEPEST} levels", "invalid_json")
    if not isinstance(event.get("type"), str):
        raise EventError("an event has a type", "missing_required_parameter", "type")
    return event


def error_event(error: EventError, event_id: object) -> Event:
    """Tell the client what is wrong with its event."""
    return {
        "type": "error",
        "error": {
            "type": "invalid_request_error",
            "code": error.code,
            "message": str(error),
            "param": error.param,
            "event_id": event_id if isinstance(event_id, str) else None,
        },
    }


def text_of(given: Event, key: str, place: str, default: str | None = None) -> str:
    """Return a text of an object.

    Raises:
        EventError: It is something else, or absent without a `default`.
    """
    value = given.get(key, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        missing = "missing_required_parameter" if key not in given else "invalid_type"
        raise EventError(f"{place} must be text", missing, place)
    return value


def _no_number(name: str) -> None:
    raise ValueError(f"{name} is no JSON")


def _is_deeper(value: Any, levels: int) -> bool:
    if not isinstance(value, dict | list):
        return False
    if levels == 0:
        return True
    inner = value.values() if isinstance(value, dict) else value
    return any(_is_deeper(part, levels - 1) for part in inner)
