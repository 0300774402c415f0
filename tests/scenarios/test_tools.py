"""Tools in a running conversation: what is said, what is remembered, what is done."""

import asyncio
import datetime

import pytest
from loguru import logger

from agent.agent import Agent
from agent.conversation import Conversation
from tests.scenarios.calling import CallingLanguage, Calls, results, said
from tests.scenarios.scripted import ScriptedCall

QUESTION = ("what is the capital of France?", 0.5, 2.0)
"""Reads and sounds finished: the answer is prepared at once, and the turn ends soon."""


def call(agent, lines, *user):
    language = CallingLanguage(lines)
    scripted = ScriptedCall(agent=agent, ears={"language": lambda _prompt: language})
    for text, start_s, end_s in user or (QUESTION,):
        scripted.user_says(text, start_s, end_s)
    return scripted


@pytest.fixture
def errors():
    lines = []
    sink = logger.add(lambda line: lines.append(str(line)), level="ERROR")
    yield lines
    logger.remove(sink)


def test_a_tool_is_called_with_typed_arguments_and_its_result_is_told():
    agent, booked = Agent("x"), []

    @agent.tool
    async def book(day: datetime.date, guests: int) -> str:
        """Book a table."""
        booked.append((day, guests))
        return "table seven"

    arguments = {"day": "2027-01-02", "guests": 2}
    outcome = call(agent, [Calls({"book": arguments}), "Table seven is yours."]).run(9.0)

    # Once, although the turn was guessed to be over before it was.
    assert booked == [(datetime.date(2027, 1, 2), 2)]
    assert "SPECULATE" in outcome.decisions()
    assert results(outcome.history) == {"call-2": ['"table seven"']}
    assert said(outcome.history) == ["Table seven is yours."]


def test_nothing_is_done_on_a_guess_that_the_turn_is_over():
    agent, booked = Agent("x"), []

    @agent.tool
    async def book(guests: int) -> str:
        """Book a table."""
        booked.append(guests)
        return "done"

    scripted = call(
        agent,
        [Calls({"book": {"guests": 2}}), "Booked."],
        ("what is free today?", 0.5, 2.0),
        ("and what tomorrow?", 2.35, 3.2),
    )
    scripted.prosody = 0.6
    outcome = scripted.run(9.0)

    assert outcome.decisions()[:2] == ["SPECULATE", "RESUME"]
    assert booked == [2]
    assert len(results(outcome.history)) == 1


def test_a_slow_tool_is_bridged_by_its_filler():
    agent = Agent("x")

    @agent.tool(filler="One moment, I am looking.")
    async def look_up() -> str:
        """Look something up."""
        await asyncio.sleep(3)
        return "found"

    outcome = call(agent, [Calls({"look_up": {}}), "Here it is."]).run(12.0)

    assert said(outcome.history) == ["One moment, I am looking.", "Here it is."]
    assert list(results(outcome.history).values()) == [['"found"']]


def test_an_exception_is_an_apology_and_a_line_in_the_log(errors):
    agent = Agent("x")

    @agent.tool(apology="Sorry, the book of tables is lost.")
    async def book(guests: int) -> str:
        """Book a table."""
        raise ConnectionError("the database is gone")

    outcome = call(agent, [Calls({"book": {"guests": 4711}})]).run(9.0)

    assert said(outcome.history) == ["Sorry, the book of tables is lost."]
    assert list(results(outcome.history).values()) == [['{"error": "it failed"}']]
    (line,) = errors
    assert "book" in line and "ConnectionError" in line and "test_tools.py" in line
    # Its words may quote the caller: they are told at DEBUG.
    assert "the database" not in line.split("raise ")[0] and "4711" not in line


def test_a_tool_the_model_invents_ends_in_words():
    outcome = call(Agent("x"), [Calls({"fly": {}}), "I cannot fly."]).run(9.0)
    assert said(outcome.history) == ["I cannot fly."]
    assert len(results(outcome.history)) == 1


@pytest.mark.parametrize(("answer", "booked"), [("yes please.", [2]), ("no, rather not.", [])])
def test_only_a_yes_lets_a_confirmed_tool_happen(answer, booked):
    agent, done = Agent("x"), []

    @agent.tool(confirm="Shall I book for {guests}?")
    async def book(guests: int) -> str:
        """Book a table."""
        done.append(guests)
        return "done"

    lines = [Calls({"book": {"guests": 2}}), "All right."]
    scripted = call(agent, lines, QUESTION, (answer, 6.0, 6.8))
    outcome = scripted.run(14.0)
    model = scripted.ears["language"]("")

    assert said(outcome.history) == ["Shall I book for 2?", "All right."]
    assert done == booked
    ((told,),) = results(outcome.history).values()
    assert ("error" in str(told)) is not bool(booked)
    # The answer went to the question: the model never saw it as the latest word.
    assert not any(asked[-1].get("content") == answer for asked in model.asked)


@pytest.mark.parametrize("cancel_safe", [True, False])
def test_an_interruption_breaks_off_only_what_may_be_broken_off(cancel_safe):
    agent, events = Agent("x"), []

    @agent.tool(cancel_safe=cancel_safe, filler="One moment, I look that up for you.")
    async def work() -> str:
        """Work."""
        try:
            await asyncio.sleep(5)
            events.append("finished")
        except asyncio.CancelledError:
            events.append("cancelled")
            raise
        return "the result"

    lines = [Calls({"work": {}}), "Of course.", "The result is here."]
    scripted = call(agent, lines, QUESTION, ("no, what is it called in Spain?", 4.2, 5.8))
    outcome = scripted.run(20.0)

    assert "BARGE_IN" in outcome.decisions()
    assert events == ["cancelled" if cancel_safe else "finished"]
    ((told,),) = results(outcome.history).values()
    assert ("CANCELLED" in str(told)) is cancel_safe
    spoken = said(outcome.history)
    assert "Of course." in spoken
    assert ("The result is here." in spoken) is not cancel_safe


def test_what_must_finish_does_even_when_the_caller_hangs_up():
    agent, events = Agent("x"), []

    @agent.tool
    async def pay() -> str:
        """Pay."""
        await asyncio.sleep(2.0)
        events.append("paid")
        return "done"

    call(agent, [Calls({"pay": {}})]).run(4.0)
    assert events == ["paid"]


def test_several_calls_have_one_result_each_and_one_answer():
    agent = Agent("x")

    @agent.tool
    async def price(item: str) -> int:
        """Price of an item."""
        return len(item)

    @agent.tool
    async def stock(item: str) -> int:
        """Stock of an item."""
        await asyncio.sleep(0.5)
        return 0

    lines = [Calls({"price": {"item": "tea"}, "stock": {"item": "tea"}}), "Three, but none left."]
    outcome = call(agent, lines).run(9.0)

    assert [len(found) for found in results(outcome.history).values()] == [1, 1]
    assert said(outcome.history) == ["Three, but none left."]


def test_a_model_that_only_calls_is_stopped_aloud(errors):
    agent = Agent("x")

    @agent.tool
    async def again() -> str:
        """Again."""
        return "again"

    outcome = call(agent, [Calls({"again": {}})] * 30).run(20.0)

    assert said(outcome.history) == ["Sorry, I got stuck. Could you say that again?"]
    assert all(len(found) == 1 for found in results(outcome.history).values())
    assert "8 calls" in errors[0]


def test_a_tool_may_hand_over_to_another_agent():
    clerk = Agent("You are the clerk.", name="Clerk", greeting="Clerk speaking.")
    desk = Agent("You are the desk.")

    @clerk.tool
    async def file() -> str:
        """File it."""
        return "filed"

    @desk.tool
    async def fetch_the_clerk(talk: Conversation) -> Agent:
        """Fetch the clerk."""
        await talk.say("I fetch the clerk.")
        return clerk

    outcome = call(
        desk,
        [Calls({"fetch_the_clerk": {}}), Calls({"file": {}}), "It is filed."],
        QUESTION,
        ("could you file it now?", 7.0, 8.0),
    ).run(14.0)

    assert said(outcome.history) == ["I fetch the clerk.", "Clerk speaking.", "It is filed."]
