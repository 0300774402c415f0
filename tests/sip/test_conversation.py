"""Telephones that others wrote call the product and ask; what they recorded is listened to."""

import os
import re
import time

import pytest

from tests.live import LiveServer
from tests.sip import scenarios
from tests.sip.peers import (
    RATE,
    Baresip,
    Ear,
    Linphone,
    require_success,
    sipp,
    telephone_wav,
)
from tests.speech import dialogue, transcribe

pytestmark = pytest.mark.model

QUESTION = "What is the capital of France?"
ANSWER_S = 12.0
"""Time a peer stays on the line after it has asked: a busy machine answers late."""


@pytest.fixture(scope="module")
def server():
    # The peers ask at once; the greeting has a test of its own.
    wanted = {"DUPLEX_SIP__PORT": "0", "DUPLEX_AGENT__GREETING": "", "DUPLEX_SIP__ENABLED": "true"}
    before = dict(os.environ)
    os.environ.update(wanted)
    try:
        live = LiveServer()
    finally:
        os.environ.clear()
        os.environ.update(before)
    live.wait_ready()
    yield live
    live.stop()


@pytest.fixture(scope="module")
def port(server):
    found = re.search(r"sip:duplex@127\.0\.0\.1:(\d+)", server.log())
    assert found, server.log()
    return int(found[1])


@pytest.fixture(scope="module")
def question():
    return dialogue(0.4, QUESTION, ANSWER_S, rate=RATE)


def test_baresip_asks_and_is_answered(port, question, tmp_path):
    peer = Baresip(tmp_path / "b", telephone_wav(tmp_path / "question.wav", question))
    try:
        peer.command("dial", f"sip:duplex@127.0.0.1:{port}")
        peer.event("CALL_ESTABLISHED")
        time.sleep(len(question) / RATE)
        peer.command("hangup")
        peer.event("CALL_CLOSED")
    finally:
        peer.stop()
    assert "paris" in transcribe(peer.recording())


def test_linphone_asks_and_is_answered(port, question, tmp_path):
    heard = tmp_path / "heard.wav"
    peer = Linphone(tmp_path / "l")
    try:
        peer.say(f"record {heard}")
        peer.say(f"play {telephone_wav(tmp_path / 'question.wav', question)}")
        peer.say(f"call sip:duplex@127.0.0.1:{port}")
        peer.until("Media streams established")
        time.sleep(len(question) / RATE)
        peer.say("terminate")
        peer.until("ended")
    finally:
        peer.stop()
    assert "paris" in transcribe(heard)


def test_sipp_asks_and_is_answered(port, question, tmp_path):
    from agent.transports.sip.g711 import PCMU

    (tmp_path / scenarios.SPEECH).write_bytes(PCMU.encode(question))
    ear = Ear()
    steps = [
        scenarios.invited(str(ear.port)),
        scenarios.play(),
        scenarios.pause(len(question) / RATE),
        scenarios.bye(2),
    ]
    require_success(sipp(scenarios.scenario(*steps), port, tmp_path, "-m", "1"))
    assert "paris" in transcribe(telephone_wav(tmp_path / "heard.wav", ear.pcm()))
