"""A caller on a real line and the whole pipeline, with models that always answer the same."""

import asyncio
import contextlib

import numpy as np
import pytest

from agent.server.telephone import telephone
from agent.transports.sip.agent import CallRefusedError
from tests.sip.exchange import Taken, exchange, finished, within
from tests.sip.household import GREETING, WORD_S, sessions
from tests.sip.peers import Baresip, Ear, sipp
from tests.sip.scenarios import awaits, bye, description, invited, pause, request, scenario
from tests.sip.test_signalling import running

_SIP = {"enabled": True, "port": 0}


@contextlib.asynccontextmanager
async def answered(*arguments, **options):
    """A server that answers, and somebody who calls it."""
    household = sessions(*arguments, sip=_SIP, **options)
    async with telephone(household) as server, exchange() as caller:
        yield household, caller, f"sip:duplex@127.0.0.1:{server.address[1]}"
        await household.drain()


async def call(caller, uri) -> Taken:
    return Taken(await within(caller.agent.invite(uri)))


def heard_s(taken) -> float:
    """Seconds of tone that reached the caller."""
    pcm = np.concatenate(taken.audio) if taken.audio else np.zeros(0, np.int16)
    hops = pcm[: len(pcm) // 80 * 80].reshape(-1, 80)
    return float((np.abs(hops.astype(np.int32)).max(axis=1) > 1000).sum() / 100)


async def until_heard(taken, seconds):
    async with asyncio.timeout(20):
        while heard_s(taken) < seconds:  # noqa: ASYNC110 - audio has no event
            await asyncio.sleep(0.05)


async def test_every_caller_hears_the_whole_greeting_five_at_once():
    async with answered(server={"max_sessions": 5}) as (household, caller, uri):
        calls = await asyncio.gather(*(call(caller, uri) for _ in range(5)))
        assert household.active == 5
        length = len(GREETING.split()) * WORD_S
        await asyncio.gather(*(until_heard(taken, length - 0.05) for taken in calls))
        for taken in calls:
            await taken.call.hang_up()


async def test_one_too_many_is_told_we_are_busy_and_may_come_back():
    async with answered(server={"max_sessions": 1}) as (household, caller, uri):
        first = await call(caller, uri)
        with pytest.raises(CallRefusedError, match="486"):
            await call(caller, uri)
        await first.call.hang_up()
        async with asyncio.timeout(10):
            while household.active:  # noqa: ASYNC110 - has no event
                await asyncio.sleep(0.05)
        await call(caller, uri)


async def test_where_the_machine_decides_the_third_of_three_at_once_is_told_we_are_busy():
    async with answered(server={"max_sessions": "auto"}) as (household, caller, uri):
        calls = [await call(caller, uri) for _ in range(2)]
        with pytest.raises(CallRefusedError, match="486"):
            await call(caller, uri)
        assert household.active == 2
        for taken in calls:
            await taken.call.hang_up()


async def test_strangers_telephones_at_the_cap_hear_busy_and_the_first_call_goes_on(tmp_path):
    ear = Ear()
    held = scenario(invited(str(ear.port)), pause(9.0), bye(2))
    begin = request("INVITE", 1, body=description("[rtpstream_audio_port]"), tag=False)
    turned_away = scenario(
        begin, awaits(486, "Retry-After: *[1-9][0-9]*", where="msg"), request("ACK", 1)
    )
    long = " ".join(["word"] * 60)
    async with (
        answered(greeting=long, server={"max_sessions": 1}) as (household, _, uri),
        running(Baresip, tmp_path / "b", None) as peer,
    ):
        port = int(uri.rpartition(":")[2])
        first = sipp(held, port, tmp_path / "1", "-m", "1")
        async with asyncio.timeout(10):
            while not household.active:  # noqa: ASYNC110 - has no event
                await asyncio.sleep(0.05)
        await finished(sipp(turned_away, port, tmp_path / "2", "-m", "1"))
        peer.command("dial", uri)
        closed = await asyncio.to_thread(peer.event, "CALL_CLOSED")
        assert closed["param"].startswith("486")
        before = len(ear.packets)
        assert household.active == 1
        await finished(first)
    heard = np.abs(ear.pcm().astype(int))
    assert len(ear.packets) > before + 50
    assert heard[before * 160 :].max() > 4000, "the agent fell silent when others were turned away"


async def test_whoever_speaks_over_us_silences_us():
    long = " ".join(["word"] * 100)
    async with answered(greeting=long) as (_, caller, uri):
        taken = await call(caller, uri)
        await until_heard(taken, 0.5)
        await taken.hum(2.5)
        before = heard_s(taken)
        taken.audio.clear()
        await taken.call.write(bytes(320))
        await asyncio.sleep(1.0)
        assert before < 100 * WORD_S / 2
        assert heard_s(taken) <= len(GREETING.split()) * WORD_S + 0.1, "the old answer goes on"


async def test_the_farewell_is_heard_to_its_end():
    async with answered() as (household, caller, uri):
        for _ in range(3):
            taken = await call(caller, uri)
            await until_heard(taken, 0.1)
            await household.running[0].end()
            await within(taken.over.wait())
            assert heard_s(taken) == pytest.approx(len(GREETING.split()) * WORD_S, abs=0.05)


async def test_callers_never_hear_each_other():
    async with answered(greeting="", answer="") as (_, caller, uri):
        one, other = await call(caller, uri), await call(caller, uri)
        await asyncio.gather(one.hum(1.0, 700.0), asyncio.sleep(1.2))
        assert heard_s(other) == 0 and heard_s(one) == 0


async def test_a_call_ends_with_the_server():
    async with answered() as (household, caller, uri):
        taken = await call(caller, uri)
        await household.drain()
        await within(taken.over.wait())
        with pytest.raises(CallRefusedError, match="503"):
            await call(caller, uri)
