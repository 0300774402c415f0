"""No goodbye is cut off. The long form: python -m benchmarks.farewells."""

import asyncio

import pytest
import soundfile

from agent.agent import Agent
from agent.flow import End, Flow
from agent.server.telephone import telephone
from benchmarks import farewells
from tests.sip.household import GREETING, WORD_S, sessions
from tests.sip.peers import RATE, Baresip, Linphone, telephone_wav
from tests.sip.test_signalling import running
from tests.speech import dialogue


async def test_every_farewell_is_heard_to_its_end():
    figures = await farewells.measure(6)
    assert figures["failed"] == 0
    assert figures["calls"] == figures["heard_to_the_end"] == 6
    assert figures["longest_s"] < figures["expected_s"] + 0.1, "something was said twice"


def taking_leave():
    flow: Flow[dict] = Flow()

    @flow.step
    async def leave(talk):
        return End(GREETING)

    return Agent(flow=flow)


def loud_s(path):
    """Seconds in which a recording sounds."""
    pcm, rate = soundfile.read(path, dtype="int16")
    hop = rate // 100
    hops = abs(pcm[: len(pcm) // hop * hop].reshape(-1, hop).astype(int)).max(axis=1)
    return float((hops > 1000).sum() / 100)


@pytest.mark.parametrize("peer", ["baresip", "linphone"])
async def test_what_a_telephone_still_holds_is_heard_before_we_hang_up(tmp_path, peer):
    # Their buffers hold up to 0.1 s when our last packet leaves, and go with the call.
    silence = telephone_wav(tmp_path / "silence.wav", dialogue(20.0, rate=RATE))
    household = sessions(agent=taking_leave, sip={"enabled": True, "port": 0})
    async with telephone(household) as server:
        uri = f"sip:duplex@127.0.0.1:{server.address[1]}"
        if peer == "baresip":
            async with running(Baresip, tmp_path / "b", silence) as listener:
                listener.command("dial", uri)
                await asyncio.to_thread(listener.event, "CALL_CLOSED")
            heard = listener.recording()
        else:
            heard = tmp_path / "heard.wav"
            async with running(Linphone, tmp_path / "l") as listener:
                listener.say(f"record {heard}")
                listener.say(f"call {uri}")
                await asyncio.to_thread(listener.until, "ended")
        await household.drain()
    assert loud_s(heard) == pytest.approx(len(GREETING.split()) * WORD_S, abs=0.04)
