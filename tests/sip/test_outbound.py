"""The agent calls: somebody, a machine, and nobody."""

import asyncio
import os
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from agent.errors import RetryError, SettingsError
from agent.server import outbound
from agent.server.outbound import Outbound
from agent.settings import Settings
from agent.transports.sip.resolve import address_of_record
from tests.live import ROOT
from tests.sip.exchange import exchange, within
from tests.sip.household import GREETING, WORD_S, sessions
from tests.sip.peers import RATE, Baresip, telephone_wav
from tests.speech import dialogue, transcribe

MACHINES = {"phone": {"detect_machines": True}}


async def call(household, to, ring_s=10.0):
    sip = household.settings.sip.model_copy(update={"port": 0})
    await within(outbound.talk(household, sip, to, ring_s), 60)


async def test_whoever_is_called_hears_the_greeting_and_may_hang_up():
    async with exchange() as other:
        calling = asyncio.create_task(call(sessions(), f"sip:anna@127.0.0.1:{other.port}"))
        taken = await other.next()
        await within(taken.talking.wait())
        length = round(len(GREETING.split()) * WORD_S * RATE)
        async with asyncio.timeout(10):
            while sum((abs(p.astype(int)) > 1000).sum() for p in taken.audio) < length / 2:  # noqa: ASYNC110 - audio has no event
                await asyncio.sleep(0.05)
        await taken.call.hang_up()
        await within(calling)


@pytest.mark.parametrize(
    ("status", "why"),
    [((486, "Busy Here"), "busy"), ((603, "Decline"), "declined"), ((404, "Not Found"), "number")],
)
async def test_a_call_that_is_not_taken_says_why(status, why):
    async with exchange(status=status) as other:
        with pytest.raises(RetryError, match=why):
            await call(sessions(), f"sip:anna@127.0.0.1:{other.port}")


async def test_a_call_that_nobody_answers_stops_ringing():
    async with exchange(takes=False) as other:
        calling = asyncio.create_task(call(sessions(), f"sip:anna@127.0.0.1:{other.port}", 0.5))
        ringing = await other.next()
        await within(ringing.over.wait())
        with pytest.raises(RetryError, match="nobody answered"):
            await calling


async def test_a_machine_is_told_the_message_after_its_beep(tmp_path):
    at = np.arange(round(0.6 * RATE)) / RATE
    beep = (8000 * np.sin(2 * np.pi * 1000 * at)).astype(np.int16)
    told = "You have reached Anna. I am not at home. Please leave a message after the tone."
    machine = np.concatenate([dialogue(0.5, told, 0.6, rate=RATE), beep, np.zeros(8 * RATE, "i2")])
    wav = telephone_wav(tmp_path / "machine.wav", machine)
    household = sessions(phone={"detect_machines": True, "voicemail": "one two three four"})
    peer = await asyncio.to_thread(Baresip, tmp_path / "b", wav, auto_answer=True)
    try:
        await call(household, f"sip:tester@127.0.0.1:{peer.port}")
        await asyncio.to_thread(peer.event, "CALL_CLOSED")
    finally:
        await asyncio.to_thread(peer.stop)
    heard, rate = soundfile.read(peer.recording(), dtype="int16")
    loud = np.flatnonzero(np.abs(heard.astype(int)) > 1000)
    beep_over = 1.1 + len(dialogue(told, rate=RATE)) / RATE + 0.6
    assert loud[0] / rate > beep_over - 0.1, "spoke over the beep"
    assert (loud[-1] - loud[0]) / rate == pytest.approx(4 * WORD_S, abs=0.1)


def test_numbers_belong_to_an_exchange():
    assert address_of_record("030 1234", "sip:192.168.1.1:5070") == "sip:0301234@192.168.1.1:5070"
    assert address_of_record("anna@desk.example", None) == "sip:anna@desk.example"
    assert address_of_record("sip:anna@desk.example", None) == "sip:anna@desk.example"
    with pytest.raises(SettingsError, match=r"sip\.registrar"):
        address_of_record("0301234", None)


def test_what_is_wanted_of_a_call_stands_over_the_settings():
    settings = Outbound("sip:a@b", voicemail="Call us.").over(Settings())
    assert settings.phone.detect_machines and settings.phone.voicemail == "Call us."
    assert not Outbound("sip:a@b").over(Settings()).phone.detect_machines


@pytest.mark.model
def test_the_command_calls_a_telephone_and_answers_its_question(tmp_path):
    (tmp_path / "agent.yaml").write_text(
        "agent:\n  name: Ada\n  greeting: Good morning, Ada speaking.\n"
    )
    asked = dialogue(0.8, "Hello?", 5.0, "What is the capital of France?", 10.0, rate=RATE)
    wav = telephone_wav(tmp_path / "asked.wav", asked)
    peer = Baresip(tmp_path / "b", wav, auto_answer=True)
    try:
        agent = subprocess.Popen(
            [
                *(sys.executable, "-m", "agent", "call", f"sip:tester@127.0.0.1:{peer.port}"),
                *("--agent", str(tmp_path / "agent.yaml"), "--detect-machines"),
            ],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        peer.event("CALL_ESTABLISHED", 120)
        with pytest.raises(subprocess.TimeoutExpired):
            agent.wait(len(asked) / RATE)
        peer.command("hangup")
        told, _ = agent.communicate(timeout=30)
    finally:
        peer.stop()
        agent.kill()
    assert agent.returncode == 0 and "Over after" in told, told
    said = transcribe(peer.recording())
    assert "speaking" in said and "paris" in said
