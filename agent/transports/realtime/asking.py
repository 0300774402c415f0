"""What a client asks for with `response.create`. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.transports.realtime.commands import Respond
from agent.transports.realtime.configuration import ClientTool, Configuration, read_choice
from agent.transports.realtime.dialects import unfolded
from agent.transports.realtime.events import Event, EventError, text_of
from agent.transports.realtime.items import Item, Items, read_item

_AS_IN_SESSIONS = (
    "output_modalities",
    "voice",
    "output_audio_format",
    "max_output_tokens",
    "tools",
)

_OF_RESPONSES = frozenset(
    {"instructions", "metadata", "tool_choice", "conversation", "input", *_AS_IN_SESSIONS}
)

_WITHOUT_EFFECT = frozenset({"prompt", "reasoning", "parallel_tool_calls"})
"""As in `session.update`."""

_MOST_ITEMS = 256


@dataclass(frozen=True, slots=True)
class Asked:
    """A response that is asked for.

    Attributes:
        respond: What the pipeline is to do.
        metadata: The client's own.
        writes: Whether it answers in text.
        is_kept: Whether the conversation keeps it.
        tools: The client's that it may call.
    """

    respond: Respond
    metadata: Any
    writes: bool
    is_kept: bool
    tools: tuple[ClientTool, ...]

    @property
    def is_aside(self) -> bool:
        """Whether it is made beside what is said: nobody hears it, and nobody remembers it."""
        return self.writes and not self.is_kept


def read_request(event: Event, settings: Configuration, items: Items) -> Asked:
    """Return what an event asks for.

    Raises:
        EventError: It cannot be.
    """
    given = event.get("response") or {}
    if not isinstance(given, dict):
        raise EventError("response must be an object", "invalid_type", "response")
    given = {key: value for key, value in unfolded(given).items() if key not in _WITHOUT_EFFECT}
    if unknown := sorted(set(given) - _OF_RESPONSES):
        place = f"response.{unknown[0]}"
        raise EventError(f"{place} is not supported", "unsupported_value", place)
    conversation = given.get("conversation")
    if conversation not in (None, "auto", "none"):
        place = "response.conversation"
        raise EventError(f'{place} is "auto" or "none"', "unsupported_value", place)
    metadata = given.get("metadata")
    if not isinstance(metadata, dict | None):
        raise EventError("metadata is an object", "invalid_type", "response.metadata")
    own = settings.updated({key: given[key] for key in _AS_IN_SESSIONS if key in given})
    if own.output_format != settings.output_format:
        raise EventError(
            "the format of the audio is the session's",
            "unsupported_value",
            "response.audio.output.format",
        )
    choice = given.get("tool_choice")
    if choice is not None:
        choice = read_choice(choice, [tool.name for tool in own.tools])
    respond = Respond(
        text_of(given, "instructions", "response.instructions", ""),
        choice,
        _input(given.get("input"), items),
        own.tools if own.tools != settings.tools else None,
        own.max_output_tokens if own.max_output_tokens != settings.max_output_tokens else None,
    )
    return Asked(respond, metadata, own.writes, conversation != "none", own.tools)


def _input(given: Any, items: Items) -> tuple[Mapping[str, Any], ...] | None:
    if given is None:
        return None
    place = "response.input"
    if not isinstance(given, list) or len(given) > _MOST_ITEMS:
        raise EventError(f"{place} is a list of at most {_MOST_ITEMS} items", "invalid_type", place)
    read = [_item(one, items, f"{place}[{index}]") for index, one in enumerate(given)]
    return tuple(message for item in read if (message := item.message()))


def _item(given: Any, items: Items, place: str) -> Item:
    if isinstance(given, dict) and given.get("type") == "item_reference":
        return items.find(given.get("id"), f"{place}.id")
    if not isinstance(given, dict):
        raise EventError(f"{place} must be an object", "invalid_type", place)
    return read_item(given)
