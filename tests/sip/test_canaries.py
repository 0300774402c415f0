"""Calls at once, each with a word and a sound of its own: nobody hears or reads another's."""

import asyncio
import itertools
import json

import numpy as np
from loguru import logger

from agent.agent import Agent
from agent.flow import Flow
from agent.server.telephone import telephone
from tests.scenarios.fakes import ScriptedRecogniser
from tests.sip.exchange import Taken, exchange, within
from tests.sip.household import sessions
from tests.sip.peers import RATE

WORDS = ("heron", "walnut", "copper", "velvet")
HERTZ = (450.0, 610.0, 830.0, 1130.0)


def loudness(pcm, hertz):
    at = np.arange(len(pcm)) / RATE
    return 2 * abs(np.dot(pcm, np.exp(-2j * np.pi * hertz * at))) / max(1, len(pcm))


async def test_four_callers_hear_and_read_only_their_own():
    """Each caller's recogniser hears one word, which its agent keeps and repeats."""
    counter = itertools.count()
    told: dict[int, list[str]] = {}

    def agent():
        number = next(counter)
        flow: Flow[dict] = Flow()

        @flow.step
        async def listen(talk):
            told[number] = [await talk.ask("", patience_s=20) or "", talk.call.facts.id]

        return Agent(flow=flow)

    household = sessions(
        agent=agent, greeting="", sip={"enabled": True, "port": 0}, server={"max_sessions": 4}
    )
    ears = itertools.count()

    def recogniser():
        word = WORDS[next(ears)]
        return ScriptedRecogniser([(f"{word}.", i * 0.2, (i + 1) * 0.2) for i in range(300)])

    object.__setattr__(household.models, "recogniser", recogniser)
    log: list[str] = []
    sink = logger.add(lambda line: log.append(str(line)), level="TRACE", filter="agent")
    try:
        async with telephone(household) as server, exchange() as caller:
            uri = f"sip:duplex@127.0.0.1:{server.address[1]}"
            taken = [Taken(await within(caller.agent.invite(uri))) for _ in WORDS]
            running = household.running
            await asyncio.gather(
                *(one.hum(1.2, hertz) for one, hertz in zip(taken, HERTZ, strict=True))
            )
            async with asyncio.timeout(20):
                while len(told) < len(WORDS):  # noqa: ASYNC110 - has no event
                    await asyncio.sleep(0.05)
            for one in taken:
                await one.call.hang_up()
            await household.drain()
    finally:
        logger.remove(sink)
    assert len({call_id for _, call_id in told.values()}) == len(WORDS)
    for number, word in enumerate(WORDS):
        assert word in told[number][0]
        history = json.dumps(running[number].context.messages)
        records = json.dumps([turn.as_json() for turn in running[number].recorder.turns])
        for other in set(WORDS) - {word}:
            assert other not in told[number][0] + history + records
    for one in taken:
        heard = np.concatenate(one.audio).astype(float) if one.audio else np.zeros(1)
        # Nobody speaks but the callers: any of their tones would have come from one of them.
        assert all(loudness(heard, hertz) < 5 for hertz in HERTZ)
    assert not any(word in line for word in WORDS for line in log)
