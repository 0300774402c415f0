"""The conversation that every kind of client holds in the tests: a tool, and an interruption."""

from functools import cache

from agent.audio.chunk import Int16Array
from tests.speech import spoken
from tests.wiring.scripted_model import Answer, call

ASKS = "When are you open on Friday?"
INTERRUPTS = "No wait, stop, I mean on Sunday."
LONG = (
    "On Friday we are open from nine in the morning to five in the afternoon, and in between there "
    "is always somebody at the counter who is glad to help you with whatever you would like to buy."
)
SHORT = "On Sunday we are closed."


@cache
def said(text: str, rate: int) -> Int16Array:
    """A caller's line, made once: making it takes seconds in which a client would hear nothing."""
    return spoken(text, rate)


def prepare(rate: int) -> None:
    """Make the caller's lines before the conversation begins."""
    for text in (ASKS, INTERRUPTS):
        said(text, rate)


def answer(messages: list[dict], tools: list[str]) -> Answer:
    """What the language model says: a call of the last tool it has, then its result at length."""
    last = messages[-1]
    if last["role"] == "tool":
        return LONG
    if "sunday" in str(last["content"]).lower():
        return SHORT
    return call(tools[-1], day="Friday")


def heard_of_long(messages: list[dict]) -> str:
    """The words of the long answer that are in the context."""
    (said,) = (m["content"] for m in messages if str(m.get("content", "")).startswith("On Friday"))
    return said
