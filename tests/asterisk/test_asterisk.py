"""A real Asterisk: calls through it, to it and by its own two sockets."""

import asyncio
import contextlib

import numpy as np
import pytest
import soundfile

from agent.agent import Agent
from agent.errors import DuplexError, RetryError
from agent.flow import End, Flow
from agent.server.telephone import telephone
from agent.transports.sip.agent import CallRefusedError
from tests.asterisk.pbx import (
    AUDIOSOCKET,
    BUSY,
    DESK,
    ECHO,
    OURS,
    PASSWORD,
    USER,
    WEBSOCKET,
    Asterisk,
)
from tests.asterisk.test_calls import (
    GREETING_S,
    TOKEN,
    audiosocket_server,
    loud_s,
    until,
    web_server,
)
from tests.sip.exchange import KEYS, Taken, exchange, press_every_key, within
from tests.sip.household import GREETING, sessions
from tests.sip.peers import RATE, Baresip, telephone_wav
from tests.sip.test_signalling import running


@contextlib.asynccontextmanager
async def registered(tmp_path, *, settings=None, **options):
    """An exchange, we with our number on it, and a telephone that can call both."""
    async with (
        running(Asterisk, tmp_path / "a", **options) as pbx,
        running(Baresip, tmp_path / "b", None) as telephone,
        exchange(
            user=USER, password=PASSWORD, domain=f"127.0.0.1:{pbx.port}", **(settings or {})
        ) as ours,
    ):
        granted_s = await within(ours.agent.register(f"sip:127.0.0.1:{pbx.port}", 120))
        assert 110 < granted_s <= 120
        yield pbx, telephone, ours


def dial(telephone, pbx, number):
    telephone.command("dial", f"sip:{number}@127.0.0.1:{pbx.port}")


WAYS = {
    "PCMU": ("ulaw", "", {}),
    "PCMA": ("alaw", "", {}),
    "OPUS": ("opus", "", {"opus": True}),
    "SRTP": ("ulaw", "media_encryption=sdes", {}),
}


@pytest.mark.parametrize("way", WAYS)
async def test_a_telephone_calls_our_number_presses_every_key_and_holds(tmp_path, way):
    codec, ours_there, settings = WAYS[way]
    async with registered(tmp_path, ours=ours_there, codec=codec, settings=settings) as (
        pbx,
        telephone,
        ours,
    ):
        dial(telephone, pbx, OURS)
        taken = await ours.next()
        await within(taken.talking.wait())
        if way in ("PCMU", "OPUS"):
            # Keys have a clock of their own with Opus; else nothing about them changes.
            await press_every_key(taken, telephone)
        assert taken.call.agreement.codec == way.replace("SRTP", "PCMU")
        assert bool(taken.call.agreement.crypto) is (way == "SRTP")

        telephone.command("hold")
        async with asyncio.timeout(5):
            while not taken.call.call.is_held_by_peer:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        telephone.command("resume")
        async with asyncio.timeout(5):
            while taken.call.call.is_held_by_peer:  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.05)
        taken.audio.clear()
        await taken.hum(0.6)
        assert np.abs(np.concatenate(taken.audio).astype(int)).max() > 4000, "not heard again"

        telephone.command("hangup")
        await within(taken.over.wait())


async def test_we_call_a_number_hear_ourselves_hold_and_hang_up(tmp_path):
    async with registered(tmp_path) as (pbx, _, ours):
        taken = Taken(await within(ours.agent.invite(f"sip:{ECHO}@127.0.0.1:{pbx.port}")))
        await taken.hum(1.0)
        assert np.abs(np.concatenate(taken.audio).astype(int)).max() > 4000
        await taken.call.hold()
        assert not taken.call.agreement.may_receive
        await taken.call.resume()
        assert taken.call.agreement.may_receive
        await taken.call.hang_up()
        async with asyncio.timeout(5):
            while "0 active channels" not in await asyncio.to_thread(  # noqa: ASYNC110
                pbx.command, "core show channels"
            ):
                await asyncio.sleep(0.1)


async def test_who_is_busy_says_so_and_a_number_that_is_none_as_well(tmp_path):
    async with registered(tmp_path) as (pbx, _, ours):
        with pytest.raises(CallRefusedError, match="486"):
            await within(ours.agent.invite(f"sip:{BUSY}@127.0.0.1:{pbx.port}"))
        with pytest.raises(CallRefusedError, match="404"):
            await within(ours.agent.invite(f"sip:999@127.0.0.1:{pbx.port}"))


async def test_a_caller_is_handed_to_another_number_of_the_exchange(tmp_path):
    async with registered(tmp_path) as (pbx, telephone, ours):
        dial(telephone, pbx, OURS)
        taken = await ours.next()
        await within(taken.talking.wait())
        # Asterisk refuses to move who is not connected yet; until then the telephone is not heard.
        await until(lambda: any(np.abs(pcm.astype(int)).max() > 1000 for pcm in taken.audio))
        await within(taken.call.transfer(ECHO))
        assert taken.over.is_set()
        channels = await asyncio.to_thread(pbx.command, "core show channels concise")
        assert "!Echo!" in channels and channels.count("PJSIP/") == 1


async def test_another_password_is_told_and_a_number_given_back_rings_no_more(tmp_path):
    async with registered(tmp_path) as (pbx, telephone, ours):
        registrar = f"sip:127.0.0.1:{pbx.port}"
        async with exchange(user=USER, password="another") as stranger:
            with pytest.raises(RetryError, match=r"401.*sip\.password"):
                await within(stranger.agent.register(registrar, 120))
        # Renewed, it is still one number, and ours.
        await within(ours.agent.register(registrar, 120))
        assert f":{ours.port}" in await asyncio.to_thread(pbx.command, "pjsip show contacts")
        await within(ours.agent.register(registrar, 0))
        assert "No objects found" in await asyncio.to_thread(pbx.command, "pjsip show contacts")
        dial(telephone, pbx, OURS)
        await asyncio.to_thread(telephone.event, "CALL_CLOSED")
        assert ours.calls.empty()


def put_through(*numbers):
    """An agent that puts its caller through to these numbers, until one takes the call."""
    refused: list[str] = []
    flow: Flow[dict] = Flow()

    @flow.step
    async def transfer(talk):
        for number in numbers:
            try:
                await talk.transfer(number, briefing="A caller about a parcel.")
            except DuplexError as error:
                refused.append(str(error))

    return Agent(flow=flow), refused


async def test_a_caller_is_put_through_to_a_telephone_of_the_exchange(tmp_path):
    agent, refused = put_through(BUSY, DESK)
    hum = (8000 * np.sin(2 * np.pi * 700 * np.arange(40 * RATE) / RATE)).astype(np.int16)
    sound = telephone_wav(tmp_path / "desk.wav", hum)
    async with contextlib.AsyncExitStack() as open_:
        desk = await open_.enter_async_context(
            running(Baresip, tmp_path / "d", sound, auto_answer=True)
        )
        pbx = await open_.enter_async_context(running(Asterisk, tmp_path / "a", desk=desk.port))
        sip = {"enabled": True, "port": 0, "user": USER, "password": PASSWORD}
        sip["registrar"] = f"sip:127.0.0.1:{pbx.port}"
        ours = sessions(agent=lambda: agent, sip=sip, phone={"transfer_to": [BUSY, DESK]}, word="")
        await open_.enter_async_context(telephone(ours))
        open_.push_async_callback(ours.drain)
        async with asyncio.timeout(10):
            while USER not in await asyncio.to_thread(  # noqa: ASYNC110 - another process
                pbx.command, "pjsip show contacts"
            ):
                await asyncio.sleep(0.1)
        caller = await open_.enter_async_context(exchange(user="anna"))
        taken = Taken(await within(caller.agent.invite(f"sip:{OURS}@127.0.0.1:{pbx.port}")))
        await asyncio.to_thread(desk.event, "CALL_ESTABLISHED")
        await asyncio.sleep(1.5)
        await asyncio.to_thread(desk.press, "1")
        await until(lambda: not ours.active)
        taken.audio.clear()
        await taken.hum(1.5)
        heard = np.concatenate(taken.audio).astype(float)
        at = np.arange(len(heard)) / RATE
        tone = 2 * abs(np.dot(heard, np.exp(-2j * np.pi * 700 * at))) / len(heard)
        assert tone > 1000, "the desk is not heard"
        await taken.call.hang_up()
        await asyncio.to_thread(desk.event, "CALL_CLOSED")
    assert refused == [refused[0]] and "busy" in refused[0]


def keypad():
    """An agent that asks for keys, and what was entered."""
    entered: list[str] = []
    flow: Flow[dict] = Flow()

    @flow.step
    async def ask(talk):
        entry = await talk.call.collect_digits(len(KEYS), finish="", timeout_s=10.0)
        entered.append(entry.digits)
        return End(GREETING)

    return Agent(flow=flow), entered


@contextlib.asynccontextmanager
async def called_by_socket(tmp_path, number, sound, *, dial="c(slin16)f(json)", **options):
    """A telephone that plays `sound` calls a number which Asterisk connects with us by a socket."""
    async with contextlib.AsyncExitStack() as open_:
        if number == AUDIOSOCKET:
            household, port = await open_.enter_async_context(audiosocket_server(**options))
            where = {"audiosocket": port}
        else:
            household, url = await open_.enter_async_context(web_server(**options))
            where = {"websocket": url + TOKEN, "dial": dial}
        pbx = await open_.enter_async_context(running(Asterisk, tmp_path / "a", **where))
        wav = telephone_wav(tmp_path / "sound.wav", sound)
        telephone = await open_.enter_async_context(running(Baresip, tmp_path / "b", wav))
        telephone.command("dial", f"sip:{number}@127.0.0.1:{pbx.port}")
        await asyncio.to_thread(telephone.event, "CALL_ESTABLISHED")
        yield household, telephone


def quiet(seconds):
    return np.zeros(round(RATE * seconds), np.int16)


SOCKETS = {
    "AudioSocket": (AUDIOSOCKET, ""),
    "WebSocket, JSON, 16 kHz": (WEBSOCKET, "c(slin16)f(json)"),
    "WebSocket, plain, mu-law": (WEBSOCKET, "c(ulaw)"),
}


@pytest.mark.parametrize("way", SOCKETS)
async def test_by_a_socket_every_key_arrives_and_the_farewell_is_heard_to_its_end(tmp_path, way):
    number, dial = SOCKETS[way]
    agent, entered = keypad()
    recordings = tmp_path / "kept"
    phone = {"recordings": recordings, "record_all": True}
    async with called_by_socket(
        tmp_path, number, quiet(30), dial=dial, agent=lambda: agent, phone=phone
    ) as (household, telephone):
        await until(lambda: household.active)
        for key in KEYS:
            await asyncio.to_thread(telephone.press, key)
        closed = await asyncio.to_thread(telephone.event, "CALL_CLOSED", 20.0)
        await until(lambda: not household.active)
    assert entered == [KEYS], closed
    heard, rate = soundfile.read(telephone.recording(), dtype="int16")
    assert loud_s(heard, rate) == pytest.approx(GREETING_S, abs=0.06)
    (kept,) = recordings.glob("*.wav")
    both, rate = soundfile.read(kept, dtype="int16")
    # On a busy machine pauses come between packets, and either side of one counts as sound.
    assert GREETING_S - 0.06 < loud_s(both[:, 1], rate) < GREETING_S + 0.3


@pytest.mark.parametrize("way", [*SOCKETS][:2])
async def test_by_a_socket_whoever_speaks_over_us_silences_us(tmp_path, way):
    number, dial = SOCKETS[way]
    hum = 8000 * np.sin(2 * np.pi * 300 * np.arange(2 * RATE) / RATE)
    sound = np.concatenate([quiet(2.0), hum.astype(np.int16), quiet(30)])
    async with called_by_socket(
        tmp_path, number, sound, dial=dial, greeting=" ".join(["word"] * 150), answer=""
    ) as (household, telephone):
        await until(lambda: household.active)
        await asyncio.sleep(4.5)
        telephone.command("hangup")
        await until(lambda: not household.active)
    heard, rate = soundfile.read(telephone.recording(), dtype="int16")
    spoken_s = loud_s(heard, rate)
    # The caller speaks from the second second on; unheeded, we would speak all the time.
    assert 1.0 < spoken_s < 3.0
