"""A card number entered by keys is given to who asked for it, and is nowhere else."""

import asyncio
import json
import logging
import re

from loguru import logger

from agent.agent import Agent
from agent.flow import Flow
from agent.server.telephone import telephone
from tests.sip.exchange import Taken, exchange, within
from tests.sip.household import sessions
from tests.wiring.test_traces import collector

__all__ = ["collector"]

CARD = "4929000000006"
"""Thirteen digits with a card's checksum; no other number of a call's looks like it."""


def careless():
    """An agent whose step fails with the number in its words, and what it was given."""
    given: list[str | None] = []
    flow: Flow[dict] = Flow()

    @flow.step
    async def card(talk):
        number = await talk.collect_digits("Your card please?", len(CARD))
        given.append(number)
        logging.getLogger("shop").debug("charging %s", number)
        logger.debug("charging {}", number)
        raise ValueError(f"{number} was declined")

    return Agent(flow=flow), given


def files(folder):
    """All that was written, as text; sound apart."""
    return "\n".join(
        path.read_bytes().decode("latin-1")
        for path in folder.rglob("*")
        if path.is_file() and path.suffix != ".wav"
    )


async def test_keys_of_a_card_are_in_no_log_record_trace_metric_or_file(tmp_path, collector):
    address, traced = collector
    agent, given = careless()
    kept = tmp_path / "kept"
    household = sessions(
        agent=lambda: agent,
        word="hello.",
        sip={"enabled": True, "port": 0},
        phone={"recordings": kept / "calls", "record_all": True},
        record={"folder": kept / "dumps", "consent": "told"},
        traces={"enabled": True, "endpoint": address},
    )
    log: list[str] = []
    # As JSON: with the message all that a record carries, and an error's text.
    sink = logger.add(
        lambda line: log.append(str(line)), level="TRACE", serialize=True, diagnose=False
    )
    try:
        async with telephone(household) as server, exchange() as caller:
            uri = f"sip:duplex@127.0.0.1:{server.address[1]}"
            taken = Taken(await within(caller.agent.invite(uri)))
            (session,) = household.running
            async with asyncio.timeout(20):
                while not session._dialogue.conversation.call.is_entering:  # noqa: ASYNC110
                    await asyncio.sleep(0.05)
            await within(taken.call.press(CARD))
            async with asyncio.timeout(20):
                while not given:  # noqa: ASYNC110 - has no event
                    await asyncio.sleep(0.05)
            await asyncio.sleep(0.5)
            # A key that nobody asked for is seen by the conversation, and spelt in no log either.
            await within(taken.call.press("7"))
            async with asyncio.timeout(20):
                while "DTMF" not in "".join(log):  # noqa: ASYNC110 - another process
                    await asyncio.sleep(0.05)
            metrics = household.metrics.text().decode()
            await taken.call.hang_up()
            await household.drain()
    finally:
        logger.remove(sink)
    assert given == [CARD]
    left = {
        "log": "".join(log),
        "metrics": metrics,
        "files": files(kept),
        "conversation": json.dumps(session.context.messages),
        "records": json.dumps([turn.as_json() for turn in session.recorder.turns]),
        "traces": repr(traced),
    }
    for name, text in left.items():
        assert CARD not in re.sub(r"[ .,-]", "", text), name
    # Nor key by key.
    assert set(re.findall(r"DTMFFrame#\d+(\(.*?\))", left["log"])) == {"(tone: [keys])"}
    assert "DTMFFrame#1" not in left["log"], "only one key was nobody's"
    assert left["traces"] != "[]"
