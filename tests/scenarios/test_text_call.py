"""The test kit's typed conversations, as a developer writes them."""

import asyncio

import pytest

from agent.agent import Agent
from agent.conversation import Conversation
from agent.errors import DuplexError
from agent.eval.scripted import Calls
from agent.flow import End, Flow
from agent.values import YesNo


@pytest.fixture
def desk():
    agent = Agent("You are the desk.", greeting="Hello.")
    agent.booked = []

    @agent.tool
    async def book(guests: int) -> str:
        """Book a table."""
        await asyncio.sleep(3.0)
        agent.booked.append(guests)
        return "table seven"

    return agent


def test_three_turns_with_a_tool(duplex, desk):
    says = ["For how many?", Calls({"book": {"guests": 4}}), "Table seven.", "Goodbye."]
    with duplex.text(desk, says) as call:
        assert call.greet().text == "Hello."
        assert call.say("A table, please.").text == "For how many?"
        booking = call.say("Four.")
        assert booking.text == "Table seven." and booking.tool("book").results == ['"table seven"']
        assert call.say("Thank you, bye.").text == "Goodbye."
        assert [m["content"] for m in call.messages if m["role"] == "user"] == [
            "A table, please.",
            "Four.",
            "Thank you, bye.",
        ]
    assert desk.booked == [4]


def test_a_tool_that_was_not_called_is_told_with_those_that_were(duplex, desk):
    with (
        duplex.text(desk, ["No."]) as call,
        pytest.raises(AssertionError, match="book was not called; calls: none") as error,
    ):
        call.say("A table.").tool("book")
    assert isinstance(error.value, DuplexError)


def test_a_flow_is_gone_through_by_typing(duplex):
    flow = Flow()

    @flow.step
    async def agree(call: Conversation) -> End:
        return End("Fine." if await call.collect("Shall I?", YesNo()) else "Then not.")

    with duplex.text(Agent("x", flow=flow)) as call:
        assert call.greet().text == "Shall I?"
        assert call.say("yes please").text == "Fine."
