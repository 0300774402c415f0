"""A card number that is said goes to who asked for it, and nowhere else."""

import json
import re

import numpy as np
from loguru import logger

from agent.agent import Agent
from agent.dump import Dump, read
from agent.flow import End, Flow
from agent.observe.hidden import NOT_SHOWN
from agent.settings import Settings
from tests.scenarios.scripted import ScriptedCall

SPOKEN = "four two four two four two four two four two four two four two four two"


def told(outcome, log):
    """Everything anybody could read."""
    records = [turn.as_json() for turn in outcome.turns]
    return json.dumps([outcome.history, outcome.messages, outcome.asked, records, log])


def test_a_secret_is_in_no_context_transcript_record_or_log():
    entered, log = [], []
    flow: Flow[dict] = Flow()

    @flow.step
    async def card(talk):
        entered.append(await talk.collect_digits("Your card please?", 16))
        return End("Thank you.")

    call = ScriptedCall(agent=Agent(flow=flow))
    call.user_says(SPOKEN, 3.0, 8.0)
    sink = logger.add(log.append, level="TRACE")
    try:
        outcome = call.run(14.0, greet=True)
    finally:
        logger.remove(sink)

    assert entered == ["4242" * 4]
    seen = told(outcome, [str(line) for line in log])
    assert "four two" not in seen
    # Frames are counted in the log: after many tests one is "#34242".
    assert not re.search(r"(?<![\d#])4242", seen)
    users = [m["content"] for m in outcome.history if m["role"] == "user"]
    assert users == [NOT_SHOWN] and outcome.turns[1].heard == NOT_SHOWN
    shown = [e["text"] for _, e in outcome.messages if e["type"] == "transcript"]
    assert NOT_SHOWN in shown


def test_a_card_that_nobody_asked_for_is_in_no_transcript_and_no_record():
    call = ScriptedCall()
    call.user_says(SPOKEN, 0.5, 5.5)
    call.agent_says("Please do not tell me your card.")
    outcome = call.run(12.0)

    assert outcome.turns[1].heard == "[card number]"
    finals = [
        e["text"]
        for _, e in outcome.messages
        if e["type"] == "transcript" and e["role"] == "user" and e["final"]
    ]
    assert finals == ["[card number]"]


def test_a_secret_is_in_no_kept_conversation(tmp_path):
    flow: Flow[dict] = Flow()

    @flow.step
    async def card(talk):
        await talk.collect_digits("Your card please?", 16)
        return End("Thank you.")

    record = {"folder": str(tmp_path), "consent": "told"}
    dump = Dump(Settings.model_validate({"record": record}), {"channel": "memory"})
    call = ScriptedCall(agent=Agent(flow=flow), edit=dump.editing(list))
    call.user_says(SPOKEN, 3.0, 8.0)
    call.run(14.0, greet=True)
    dump.close()

    (folder,) = tmp_path.iterdir()
    kept = np.concatenate([pcm for _, pcm in read(folder).arrivals])
    assert len(kept) > 8 * 16_000 and not kept.any()
    assert "four" not in (folder / "evidence.jsonl").read_text()
