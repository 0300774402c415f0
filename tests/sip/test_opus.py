"""Calls in Opus: our own two ends, and telephones that others wrote."""

import asyncio
import contextlib
from dataclasses import replace

import numpy as np
import pytest

from agent.eval.impairment import Impairment
from agent.transports.sip import opus
from agent.transports.sip.codecs import G711
from benchmarks.relay import relay
from tests.sip.exchange import KEYS, Taken, exchange, press_every_key, within
from tests.sip.peers import BARESIP_OPUS, Baresip, Linphone
from tests.sip.test_signalling import running

pytestmark = pytest.mark.skipif(opus.library() is None, reason="no libopus on this machine")


@contextlib.asynccontextmanager
async def talking(network=None, **other):
    """Two of our own ends in a call, the second's settings by choice."""
    async with contextlib.AsyncExitStack() as stack:
        ours = await stack.enter_async_context(exchange(opus=True))
        theirs = await stack.enter_async_context(exchange(**{"opus": True, **other}))
        port = theirs.port
        if network:
            line = await stack.enter_async_context(relay(theirs.agent.address, network))
            port = line.port
        taken = Taken(await within(ours.agent.invite(f"sip:x@127.0.0.1:{port}")))
        far = await theirs.next()
        await within(far.talking.wait())
        yield taken, far
        await taken.call.hang_up()
        await within(far.over.wait())


def loudest_hz(taken):
    """Frequency of the strongest tone heard."""
    pcm = np.concatenate(taken.audio).astype(float)
    spectrum = np.abs(np.fft.rfft(pcm * np.hanning(len(pcm))))
    return float(np.argmax(spectrum) * taken.call.sample_rate / len(pcm))


async def test_two_of_us_talk_wideband_and_press_every_key():
    async with talking() as (taken, far):
        assert taken.call.agreement.codec == far.call.agreement.codec == "OPUS"
        assert taken.call.sample_rate == far.call.sample_rate == 16_000
        await asyncio.gather(taken.hum(1.0, 6_000.0), far.hum(1.0, 500.0))
        await within(taken.call.press(KEYS))
        await within(far.call.press(KEYS))
        assert far.keys == taken.keys == KEYS
        # 6 kHz does not fit into G.711.
        assert loudest_hz(far) == pytest.approx(6_000, abs=20)
        assert loudest_hz(taken) == pytest.approx(500, abs=20)


async def test_who_has_no_opus_is_talked_to_in_g711():
    async with talking(opus=False) as (taken, far):
        assert taken.call.agreement.codec == far.call.agreement.codec == "PCMU"
        assert taken.call.sample_rate == far.call.sample_rate == 8_000
        await taken.hum(0.5, 700.0)
        assert loudest_hz(far) == pytest.approx(700, abs=20)


@pytest.mark.parametrize("loss", [0.05, 0.1])
async def test_the_clock_keeps_time_and_every_key_arrives_over_a_bad_network(loss):
    async with talking(Impairment(loss, 0.03, 0.06, 0.02)) as (taken, far):
        began = asyncio.get_running_loop().time()
        await taken.hum(2.0)
        await within(taken.call.press(KEYS))
        await asyncio.sleep(0.5)
        elapsed = asyncio.get_running_loop().time() - began
        assert far.keys == KEYS
        heard = sum(map(len, far.audio)) / far.call.sample_rate
        assert elapsed - 1.0 < heard < elapsed + 0.3


async def test_a_call_goes_on_over_g711_when_it_is_handed_to_a_gateway():
    async with talking() as (taken, far):
        await taken.hum(0.3)
        far.call.audio.terms.usable = G711
        far.call.audio.terms.agreement = replace(far.call.audio.terms.agreement, codec="PCMU")
        await within(far.call.resume())
        assert taken.call.agreement.codec == far.call.agreement.codec == "PCMU"
        assert taken.call.sample_rate == 16_000, "the conversation does not notice"
        taken.audio.clear()
        far.audio.clear()
        await asyncio.gather(taken.hum(1.0, 900.0), far.hum(1.0, 600.0))
        await asyncio.sleep(0.2)
        assert loudest_hz(far) == pytest.approx(900, abs=20)
        assert loudest_hz(taken) == pytest.approx(600, abs=20)
        heard = sum(map(len, far.audio)) / far.call.sample_rate
        assert 0.8 < heard < 1.8


async def test_baresip_talks_opus_is_held_and_presses_keys(tmp_path):
    async with (
        exchange(opus=True) as ours,
        running(Baresip, tmp_path / "b", None, **BARESIP_OPUS) as peer,
    ):
        peer.command("dial", f"sip:duplex@127.0.0.1:{ours.port}")
        taken = await ours.next()
        await within(taken.talking.wait())
        assert taken.call.agreement.codec == "OPUS"
        await taken.hum(1.0, 1_000.0)
        assert loudest_hz(taken) == pytest.approx(300, abs=20), "its hum"
        await within(taken.call.hold())
        assert not taken.call.agreement.may_receive
        await within(taken.call.resume())
        assert taken.call.agreement.codec == "OPUS" and taken.call.agreement.may_receive
        await press_every_key(taken, peer)
        peer.command("hangup")
        await within(taken.over.wait())


async def test_linphone_is_called_in_opus_and_presses_keys(tmp_path):
    async with (
        exchange(opus=True) as ours,
        running(Linphone, tmp_path / "l", codecs=("opus",)) as peer,
    ):
        peer.say(f"call sip:duplex@127.0.0.1:{ours.port}")
        taken = await ours.next()
        await within(taken.talking.wait())
        await asyncio.to_thread(peer.until, "Media streams established")
        assert taken.call.agreement.codec == "OPUS"
        assert taken.call.agreement.event_rate == 48_000
        await within(taken.call.press(KEYS))
        peer.say(KEYS)
        async with asyncio.timeout(20):
            while len(taken.keys) < len(KEYS):  # noqa: ASYNC110 - another process
                await asyncio.sleep(0.1)
        assert taken.keys == KEYS
        await taken.call.hang_up()
        await asyncio.to_thread(peer.until, "ended")
