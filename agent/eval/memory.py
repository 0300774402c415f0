"""What a conversation left in the context: words, calls and their results."""

from collections.abc import Iterable
from typing import Any

from pipecat.processors.aggregators import async_tool_messages

# Pipecat's own type is a union of dictionaries; what it holds is told apart by its keys.
Message = Any


def said(messages: Iterable[Message], role: str = "assistant") -> list[str]:
    """Return everything that one side said."""
    return [
        str(message["content"])
        for message in messages
        if message.get("role") == role
        and message.get("content")
        and async_tool_messages.parse_message(message) is None
    ]


def calls(messages: Iterable[Message]) -> dict[str, tuple[str, str]]:
    """Return name and arguments (JSON) of every call, by its id, in order."""
    return {
        call["id"]: (call["function"]["name"], call["function"]["arguments"])
        for message in messages
        for call in message.get("tool_calls") or ()
    }


def results(messages: Iterable[Message]) -> dict[str, list[Any]]:
    """Return every final result, by the id of its call. One each is as it should be."""
    messages = list(messages)
    found: dict[str, list[Any]] = {call: [] for call in calls(messages)}
    for message in messages:
        payload = async_tool_messages.parse_message(message)
        if payload is not None:
            if payload.kind == "final":
                found[payload.tool_call_id].append(payload.result)
        elif message.get("role") == "tool" and message["content"] != "IN_PROGRESS":
            found[message["tool_call_id"]].append(message["content"])
    return found
