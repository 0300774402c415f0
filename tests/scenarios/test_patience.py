"""Conversations that do not end by themselves, on virtual time."""

import asyncio

from agent.server.patience import Patience
from agent.settings import ServerSettings
from tests.scenarios.scripted import ScriptedCall


def watched(**limits):
    watches = []

    def watch(session):
        patience = Patience(session, ServerSettings(**limits))
        session.watchers.append(patience.see)
        watches.append(asyncio.ensure_future(patience.run()))

    return ScriptedCall(watch=watch), watches


def test_nobody_speaking_ends_it_with_a_reason():
    call, watches = watched(idle_s=10)
    call.user_says("tell me about saturn", start_s=2.0, end_s=4.0)
    call.agent_says("Saturn is a planet.")
    outcome = call.run(30.0)

    at_s, event = next((at, told) for at, told in outcome.messages if told["type"] == "error")
    last_floor_s = max(at for at, told in outcome.messages if told["type"] == "floor")
    assert 9 <= at_s - last_floor_s <= 11 and at_s < 25
    assert "Nobody spoke" in event["message"]
    assert watches[0].done()


def test_a_conversation_is_ended_with_a_farewell_whoever_talks():
    call, watches = watched(longest_s=10)
    for i in range(2):
        call.user_says("go on please", start_s=1.0 + 4 * i, end_s=2.0 + 4 * i)
        call.agent_says("And then she went.")
    outcome = call.run(25.0)

    assert watches[0].done()
    said = [told["text"] for _, told in outcome.messages if told.get("role") == "assistant"]
    assert said[-1].endswith("run out of time. Goodbye.")
    assert 10 <= outcome.agent_speaks_at()[-1][1] < 16
