"""What a tool tells the model, takes from it and gives back; in a call: tests/scenarios."""

import asyncio
import datetime
import enum
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Annotated, Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import BaseModel, Field

from agent.agent import Agent, tool
from agent.conversation import Conversation
from agent.errors import SettingsError
from agent.processors.tools import ToolCalls
from agent.tools.declaration import ArgumentsError, result
from tests.core.api.talks import talk
from tests.core.api.test_values import CASES


class Size(enum.Enum):
    SMALL = "small"
    LARGE = "large"


class Guest(BaseModel):
    name: str
    friends: "list[Guest]" = []


@tool
async def book(
    day: datetime.date,
    guests: Annotated[int, Field(ge=1, le=12)],
    here: Conversation,
    size: Size = Size.SMALL,
    seat: Literal["inside", "outside"] | None = None,
    note: str = "",
) -> str:
    """Book a table.

    Ask for day and guests first.

    Args:
        day: When they come.
        guests: How many they are.
    """
    return f"{day:%A} {guests} {size.value} {seat} {note}"


def call(made, arguments, *answers):
    """Run one call; returns its results, with whether the model goes on, and what was said."""
    conversation, floor = talk(*answers)
    handed, told = [], []

    async def hand_over(agent):
        handed.append(agent)

    async def tell(value, *, properties=None):
        told.append((value, properties is None))

    async def once():
        calls = ToolCalls(conversation, hand_over)
        (schema,) = calls.schemas([made]).standard_tools
        await schema.handler(SimpleNamespace(arguments=arguments, result_callback=tell))
        await calls.finish()

    asyncio.run(once())
    return told, floor, handed


def test_the_schema_comes_from_hints_and_docstring():
    schema = book.schema()
    assert book.description == "Book a table.\n\nAsk for day and guests first."
    assert schema["required"] == ["day", "guests"]
    properties = schema["properties"]
    assert properties["day"] == {
        "description": "When they come.",
        "format": "date",
        "type": "string",
    }
    assert properties["guests"]["minimum"] == 1 and properties["guests"]["maximum"] == 12
    assert properties["size"]["enum"] == ["small", "large"]
    assert properties["seat"]["anyOf"][0]["enum"] == ["inside", "outside"]
    assert "here" not in properties and "$ref" not in str(schema)


def test_a_type_that_holds_itself_ends():
    @tool
    async def invite(guest: Guest, title: str) -> None:
        """Invite."""

    assert "$ref" not in str(invite.schema())
    assert invite.schema()["properties"]["title"] == {"type": "string"}


def test_a_tool_is_still_the_function_it_was():
    @tool(confirm="Really?")
    def double(number: int) -> int:
        """Double it."""
        return 2 * number

    assert double(4) == 8


def test_arguments_arrive_as_the_types_of_the_hints():
    told, _, _ = call(book, {"day": "2027-01-02", "guests": "2", "size": "large"})
    assert told == [("Saturday 2 large None ", True)]


@pytest.mark.parametrize(
    "arguments",
    [
        {"day": "2027-01-02"},
        {"day": "soon", "guests": 2},
        {"day": "2027-01-02", "guests": 99},
        {"day": "2027-01-02", "guests": 2, "here": "x"},
        {"day": "2027-01-02", "guests": 2, "when": "now"},
        *([], "x", None, 3),
    ],
)
def test_arguments_that_do_not_fit_go_back_to_the_model(arguments):
    told, floor, _ = call(book, arguments)
    ((answer, goes_on),) = told
    assert "book was not called" in answer["error"] and goes_on
    assert floor.said == []


json_values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner),
    max_leaves=6,
)


@given(json_values)
@settings(max_examples=CASES)
def test_whatever_the_model_sends_is_checked(arguments):
    try:
        book.parse(arguments)
    except ArgumentsError as error:
        assert "was not called" in str(error)


@dataclass
class Table:
    number: int


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (None, "done"),
        ("", {"result": ""}),
        (0, {"result": 0}),
        (False, {"result": False}),
        ([], {"result": []}),
        ("yes", "yes"),
        (Table(7), {"number": 7}),
        (Guest(name="Ann"), {"name": "Ann", "friends": []}),
    ],
)
def test_a_result_is_never_empty(value, told):
    assert result(value) == told


def test_a_failure_is_an_apology_and_no_second_word_from_the_model():
    @tool(apology="Oh dear.")
    def broken() -> None:
        """Break."""
        raise OSError("gone")

    told, floor, _ = call(broken, {})
    assert told == [({"error": "it failed"}, False)]
    assert floor.said == ["Oh dear."]


@pytest.mark.parametrize("answer", ["no", None, "hm"])
def test_without_a_yes_nothing_is_done(answer):
    done = []

    @tool(confirm="Pay {amount}?")
    def pay(amount: int) -> None:
        """Pay."""
        done.append(amount)

    told, floor, _ = call(pay, {"amount": 3}, answer)
    assert "did not agree" in told[0][0]["error"] and not done
    assert floor.said[0] == "Pay 3?"
    call(pay, {"amount": 3}, "yes")
    assert done == [3]


def test_an_agent_as_result_takes_over():
    clerk = Agent("clerk", name="Clerk")

    @tool
    def fetch() -> Agent:
        """Fetch the clerk."""
        return clerk

    told, _, handed = call(fetch, {})
    assert handed == [clerk] and told == [("Clerk takes over", False)]


def test_a_tool_that_cannot_be_offered_says_why():
    def silent(a: int) -> None: ...

    def untyped(a):
        """Do."""

    def loose(*names: str) -> None:
        """Do."""

    def fine(a: int) -> None:
        """Do."""

    for function, why in (
        (silent, "needs a docstring"),
        (untyped, "parameter a needs a type hint"),
        (loose, "must name its parameters"),
    ):
        with pytest.raises(SettingsError, match=why):
            tool(function)
    with pytest.raises(SettingsError, match="confirm names 'b'"):
        tool(confirm="Do {b}?")(fine)
    with pytest.raises(SettingsError, match="timeout_s"):
        tool(timeout_s=0)(fine)
