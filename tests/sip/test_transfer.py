"""A caller waits with music, and is put through to somebody who was asked; or not."""

import asyncio

import numpy as np
import pytest
import soundfile

from agent.server.consultation import NotTakenError
from agent.transports.phone.call import CallState
from tests.sip.exchange import exchange, within
from tests.sip.household import WORD_S
from tests.sip.peers import RATE, Baresip, Linphone, telephone_wav
from tests.sip.test_pipeline import answered, call, until_heard

BRIEFING = "A caller about a parcel."


def tones(pcm, *hertz):
    """Loudness of these tones, in the unit of samples."""
    at = np.arange(len(pcm)) / RATE
    return [2 * abs(np.dot(pcm, np.exp(-2j * np.pi * f * at))) / len(pcm) for f in hertz]


async def first_call(household):
    """The `Call` of the only conversation."""
    (session,) = household.running
    return session._dialogue.conversation.call


def pressing(taken, key, after_s):
    """The one who is asked presses a key, once the question has begun."""

    async def act():
        await until_heard(taken, after_s)
        await taken.call.press(key)

    return asyncio.create_task(act())


async def test_who_takes_the_call_talks_with_the_caller():
    async with exchange() as desk, answered(server={"max_sessions": 2}) as (house, caller, uri):
        to = f"sip:desk@127.0.0.1:{desk.port}"
        taken = await call(caller, uri)
        await until_heard(taken, 0.9)
        ours = await first_call(house)
        ours.transfer_to = frozenset({to})
        moving = asyncio.create_task(ours.transfer(to, briefing=BRIEFING))
        at_desk = await desk.next()
        yes = pressing(at_desk, "1", 5 * WORD_S)
        taken.audio.clear()
        await within(moving, 30)
        await yes
        music = np.concatenate(taken.audio).astype(float)
        assert np.abs(music).max() > 1000, "the caller waited in silence"
        assert ours.state is CallState.TRANSFERRED
        async with asyncio.timeout(10):
            while house.active:  # noqa: ASYNC110 - has no event
                await asyncio.sleep(0.05)
        at_desk.audio.clear()
        taken.audio.clear()
        await asyncio.gather(taken.hum(1.0, 500.0), at_desk.hum(1.0, 900.0))
        await asyncio.sleep(0.3)
        said, answer = (np.concatenate(t.audio).astype(float) for t in (taken, at_desk))
        assert tones(answer, 500)[0] > 1000 > 10 * tones(answer, 900)[0]
        assert tones(said, 900)[0] > 1000 > 10 * tones(said, 500)[0]
        await at_desk.call.press("5")
        await asyncio.sleep(0.3)
        assert taken.keys == "5"
        await taken.call.hang_up()
        await within(at_desk.over.wait())


@pytest.mark.parametrize(
    ("status", "why"), [((486, "Busy Here"), "busy"), ((603, "Decline"), "declined")]
)
async def test_the_conversation_goes_on_when_nobody_takes_the_call(status, why):
    # Whoever says "stop" is not answered, but asked after eight seconds whether he is there.
    async with exchange(status=status) as desk, answered(word="word.") as (house, caller, uri):
        to = f"sip:desk@127.0.0.1:{desk.port}"
        taken = await call(caller, uri)
        await until_heard(taken, 0.9)
        ours = await first_call(house)
        ours.transfer_to = frozenset({to})
        with pytest.raises(NotTakenError, match=why):
            await within(ours.transfer(to, briefing=BRIEFING))
        assert ours.state is CallState.TALKING and house.active == 1
        taken.audio.clear()
        await taken.hum(1.0)
        await taken.call.write(bytes(320))
        await until_heard(taken, 0.5)


async def test_a_no_lets_the_caller_come_back():
    async with exchange() as desk, answered(server={"max_sessions": 2}) as (house, caller, uri):
        to = f"sip:desk@127.0.0.1:{desk.port}"
        taken = await call(caller, uri)
        await until_heard(taken, 0.9)
        ours = await first_call(house)
        ours.transfer_to = frozenset({to})
        moving = asyncio.create_task(ours.transfer(to, briefing=BRIEFING))
        at_desk = await desk.next()
        no = pressing(at_desk, "2", 5 * WORD_S)
        with pytest.raises(NotTakenError, match="took the call"):
            await within(moving, 30)
        await no
        await within(at_desk.over.wait())
        assert house.active == 1 and not taken.over.is_set()


async def test_a_caller_who_hangs_up_frees_the_one_who_is_asked():
    async with exchange() as desk, answered(server={"max_sessions": 2}) as (house, caller, uri):
        to = f"sip:desk@127.0.0.1:{desk.port}"
        taken = await call(caller, uri)
        await until_heard(taken, 0.9)
        ours = await first_call(house)
        ours.transfer_to = frozenset({to})
        moving = asyncio.create_task(ours.transfer(to, briefing=BRIEFING))
        at_desk = await desk.next()
        await until_heard(at_desk, 0.2)
        await taken.call.hang_up()
        with pytest.raises(NotTakenError, match="hung up"):
            await within(moving)
        await within(at_desk.over.wait())


async def test_a_real_telephone_hears_music_and_then_the_other_party(tmp_path):
    hum = (8000 * np.sin(2 * np.pi * 700 * np.arange(60 * RATE) / RATE)).astype(np.int16)
    sounding = telephone_wav(tmp_path / "hum.wav", np.concatenate([np.zeros(9 * RATE, "i2"), hum]))
    recorded = tmp_path / "heard.wav"
    desk = await asyncio.to_thread(Baresip, tmp_path / "d", sounding, auto_answer=True)
    # Not baresip on both sides: it ceases to record when a call is put on hold.
    peer = await asyncio.to_thread(Linphone, tmp_path / "c")
    try:
        async with answered(server={"max_sessions": 2}, greeting="one two") as (house, _, uri):
            peer.say(f"record {recorded}")
            peer.say(f"call {uri}")
            await asyncio.to_thread(peer.until, "Media streams established")
            ours = await first_call(house)
            to = f"sip:tester@127.0.0.1:{desk.port}"
            ours.transfer_to = frozenset({to})
            await asyncio.sleep(1.0)
            moving = asyncio.create_task(ours.transfer(to, briefing=BRIEFING))
            await asyncio.to_thread(desk.event, "CALL_ESTABLISHED")
            await asyncio.sleep(2.0)
            await asyncio.to_thread(desk.press, "1")
            await within(moving, 30)
            # From its ninth second on the desk hums.
            await asyncio.sleep(8.0)
            peer.say("terminate")
            await asyncio.to_thread(desk.event, "CALL_CLOSED")
    finally:
        await asyncio.to_thread(peer.stop)
        await asyncio.to_thread(desk.stop)
    heard, rate = soundfile.read(recorded, dtype="int16")
    assert rate == RATE
    # The tune is quieter than our voice and the desk's hum, and louder than nothing.
    seconds = [np.abs(heard[i : i + RATE].astype(int)).max() for i in range(0, len(heard), RATE)]
    assert sum(800 < level < 6000 for level in seconds) >= 2, "no music"
    assert tones(heard[-2 * RATE : -RATE].astype(float), 700)[0] > 2000
