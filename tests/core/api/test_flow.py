import asyncio
from dataclasses import dataclass

import pytest
from loguru import logger

from agent.agent import Agent
from agent.errors import DegradedError, SettingsError
from agent.flow import FAILED, End, Flow, HandOver
from agent.values import Choice, Digits, Email
from tests.core.api.talks import talk


@dataclass
class Order:
    size: str = ""
    pin: str | None = None


def pizza():
    flow, orders = Flow(Order), []

    @flow.step(start=True)
    async def size(here):
        here.state.size = await here.collect("Which size?", Choice.of("small", "large"))
        if here.state.size is None:
            return HandOver(Agent("human", name="Human"), "I fetch someone.")
        return pay

    @flow.step
    async def pay(here):
        here.state.pin = await here.collect("Your pin?", Digits(4))
        orders.append(here.state)
        return End("Thank you, goodbye.")

    return flow, orders


def run(flow, conversation):
    return asyncio.run(flow.run(conversation))


def test_steps_follow_each_other_and_fill_the_state():
    flow, orders = pizza()
    conversation, floor = talk("a large one", "one two three four")

    assert run(flow, conversation) is None

    assert orders == [Order("large", "1234")]
    assert floor.said == ["Which size?", "Your pin?", "Thank you, goodbye."]
    assert floor.ended
    # What is asked tells the turn policy how long to wait.
    assert floor.expected == [("short", None), ("continuous", 4)]


def test_each_conversation_has_its_own_state():
    flow, orders = pizza()
    for pin in ("1 2 3 4", "5 6 7 8"):
        run(flow, talk("small", pin)[0])
    assert [order.pin for order in orders] == ["1234", "5678"]


def test_what_is_not_understood_is_asked_again_and_silence_repeats_the_question():
    flow, orders = pizza()
    conversation, floor = talk("medium", None, "large", "1 2 3", "1 2 3 4")

    run(flow, conversation)

    assert orders == [Order("large", "1234")]
    assert floor.said[:3] == ["Which size?", "Please say small or large.", "Which size?"]
    assert "need 4 digits" in floor.said[4]


def test_after_the_retries_the_step_decides():
    flow, _ = pizza()
    conversation, floor = talk("uh", "hm", "what")
    handed = run(flow, conversation)
    assert handed and handed.agent.name == "Human" and handed.announcement == "I fetch someone."
    assert len(floor.said) == 3


def test_a_step_that_fails_leaves_the_caller_with_the_agent():
    flow = Flow()

    @flow.step
    async def broken(here):
        raise RuntimeError("no database")

    lines = []
    sink = logger.add(lambda line: lines.append(str(line)), level="ERROR")
    conversation, floor = talk()
    assert run(flow, conversation) is None
    logger.remove(sink)
    assert floor.said == [FAILED]
    assert "broken" in lines[0] and "no database" in lines[0]


def test_a_flow_that_goes_in_circles_is_stopped():
    flow = Flow()

    @flow.step
    async def here_again(here):
        return here_again

    assert run(flow, talk()[0]) is None


def test_what_a_step_returns_must_be_something_to_do():
    flow = Flow()

    @flow.step
    async def odd(here):
        return "pay"

    with pytest.raises(SettingsError, match="step odd returned 'pay'"):
        run(flow, talk()[0])
    with pytest.raises(SettingsError, match="needs a step"):
        run(Flow(), talk()[0])


def test_the_rest_of_what_a_conversation_can_do():
    async def use():
        conversation, floor = talk("anna at example dot com", "no", "because")
        assert await conversation.collect("Mail?", Email()) == "anna@example.com"
        assert await conversation.confirm("Sure?") is False
        assert await conversation.improvise("Ask why.") == "because"
        assert floor.briefs == ["Ask why."]
        assert await conversation.confirm("Still there?") is False
        await conversation.transfer("+49301234", "I connect you.")
        assert floor.transferred == "+49301234"
        with pytest.raises(DegradedError, match="cannot transfer"):
            await conversation.transfer("nowhere")
        with pytest.raises(DegradedError, match="no flow"):
            conversation.state
        await conversation.say("  ")
        await conversation.end()
        assert floor.ended and floor.said[-1] == "I connect you."

    asyncio.run(use())
