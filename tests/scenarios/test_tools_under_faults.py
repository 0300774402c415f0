"""A booking is under way when a part of the conversation fails: it is done once, and remembered."""

import asyncio

import pytest

from agent.agent import Agent
from agent.tts.spare import spare
from tests.scenarios.calling import CallingLanguage, Calls, results
from tests.scenarios.fakes import DEAD, SteadyVoice
from tests.scenarios.scripted import ScriptedCall
from tests.scenarios.test_faults import (
    Faulty,
    FaultyProsody,
    FaultyRecogniser,
    FaultyVoice,
    SlowLoop,
)

BOOKING_S = 4.0
ILL_S, WELL_S = 3.0, 12.0
"""From the middle of the booking to well after it."""

LAST_QUESTION = ("thank you and goodbye now", 20.0, 21.5)


def held(lines, part="", how="dead", *, speaks_meanwhile):
    """A conversation of two turns in whose first a table is booked; what became of it."""
    booked: list[float] = []
    agent = Agent("You book tables.")

    @agent.tool
    async def book(guests: int) -> str:
        """Book a table."""
        await asyncio.sleep(BOOKING_S)
        booked.append(asyncio.get_running_loop().time())
        return "table seven"

    parts = {name: Faulty() for name in ("recogniser", "voice", "prosody")}

    def watch(_session) -> None:
        loop = asyncio.get_running_loop()
        if part:
            loop.call_later(ILL_S, lambda: setattr(parts[part], "state", how))
            loop.call_later(WELL_S, lambda: setattr(parts[part], "state", "well"))

    language = CallingLanguage(lines)
    call = ScriptedCall(agent=agent, watch=watch, loop=type("Loop", (SlowLoop,), {"parts": parts}))
    call.ears = {
        "language": lambda _prompt: language,
        "recogniser": lambda: FaultyRecogniser(call._words, parts["recogniser"]),
        "voice": FaultyVoice(parts["voice"]),
        "smart_turn": FaultyProsody(parts["prosody"]),
        "spare": spare(SteadyVoice(0.25)),
    }
    call.user_says("please book a table for two", 0.5, 2.0)
    if speaks_meanwhile:
        call.user_says("are you still there?", 4.5, 5.5)
    call.user_says(*LAST_QUESTION)
    return call.run(28.0), booked


def require_once(outcome, booked):
    assert len(booked) == 1
    (told,) = results(outcome.history).values()
    assert told == ['"table seven"']
    late = [start for start, _ in outcome.agent_speaks_at() if start > LAST_QUESTION[2]]
    assert late and late[0] - LAST_QUESTION[2] < 3.0, "the conversation goes on"


@pytest.mark.parametrize("speaks_meanwhile", [False, True])
@pytest.mark.parametrize("how", ["dead", "hangs"])
@pytest.mark.parametrize("part", ["recogniser", "voice", "prosody"])
def test_what_must_finish_is_done_once_whatever_fails(part, how, speaks_meanwhile):
    lines = [Calls({"book": {"guests": 2}}), "Table seven.", "You are welcome.", "Goodbye.", "Bye."]
    require_once(*held(lines, part, how, speaks_meanwhile=speaks_meanwhile))


@pytest.mark.parametrize("speaks_meanwhile", [False, True])
def test_and_whatever_becomes_of_the_language_model(speaks_meanwhile):
    lines = [Calls({"book": {"guests": 2}}), DEAD, "You are welcome.", "Goodbye.", "Bye."]
    require_once(*held(lines, speaks_meanwhile=speaks_meanwhile))
