"""A telephone asks the product through a real Asterisk; what it recorded is listened to."""

import os
import sys
import time

import pytest

from tests.asterisk.pbx import AUDIOSOCKET, DESK, OURS, PASSWORD, USER, WEBSOCKET, Asterisk
from tests.live import ROOT, LiveServer
from tests.sip.peers import RATE, Baresip, Program, free_port, telephone_wav
from tests.speech import dialogue, transcribe

pytestmark = pytest.mark.model

ANSWER_S = 10.0
"""Time the telephone stays on the line after it has asked: a busy machine answers late."""


@pytest.fixture(scope="module")
def exchange(tmp_path_factory):
    """An Asterisk, and `duplex serve` with a number on it and behind both its sockets."""
    audiosocket, web, token = free_port(), free_port(), "0123456789abcdef0123"
    pbx = Asterisk(
        tmp_path_factory.mktemp("pbx"),
        audiosocket=audiosocket,
        websocket=f"ws://127.0.0.1:{web}/phone/asterisk/stream/{token}",
    )
    server = LiveServer(
        *f"-m agent serve --port {web}".split(),
        DUPLEX_SIP__ENABLED="true",
        DUPLEX_SIP__PORT="0",
        DUPLEX_SIP__REGISTRAR=f"sip:127.0.0.1:{pbx.port}",
        DUPLEX_SIP__USER=USER,
        DUPLEX_SIP__PASSWORD=PASSWORD,
        DUPLEX_ASTERISK__AUDIOSOCKET_PORT=str(audiosocket),
        DUPLEX_ASTERISK__TOKEN=token,
        DUPLEX_AGENT__GREETING="",
    )
    try:
        server.wait_ready()
        yield pbx, server
    finally:
        server.stop()
        pbx.stop()


@pytest.mark.parametrize("number", [OURS, AUDIOSOCKET, WEBSOCKET])
def test_a_question_is_answered_through_an_exchange(exchange, tmp_path, number):
    pbx, server = exchange
    question = dialogue(1.0, "What is the capital of France?", ANSWER_S, rate=RATE)
    peer = Baresip(tmp_path / "b", telephone_wav(tmp_path / "question.wav", question))
    try:
        peer.call(f"sip:{number}@127.0.0.1:{pbx.port}", len(question) / RATE)
    finally:
        peer.stop()
    assert "paris" in transcribe(peer.recording()), server.log()


def test_the_command_calls_a_number_of_an_exchange_and_answers_its_question(tmp_path):
    asked = dialogue(0.8, "Hello?", 5.0, "What is the capital of France?", ANSWER_S, rate=RATE)
    wav = telephone_wav(tmp_path / "asked.wav", asked)
    peer = Baresip(tmp_path / "b", wav, auto_answer=True)
    pbx = Asterisk(tmp_path / "a", desk=peer.port)
    wanted = {
        "DUPLEX_SIP__REGISTRAR": f"sip:127.0.0.1:{pbx.port}",
        "DUPLEX_SIP__USER": USER,
        "DUPLEX_SIP__PASSWORD": PASSWORD,
        "PYTHONPATH": str(ROOT),
    }
    calling = Program([sys.executable, "-m", "agent", "call", DESK], ROOT, env=os.environ | wanted)
    try:
        peer.event("CALL_ESTABLISHED", 120)
        time.sleep(len(asked) / RATE)
        peer.command("hangup")
        calling.until("Over after", limit_s=30.0)
        assert calling.process.wait(30) == 0
    finally:
        calling.stop()
        peer.stop()
        pbx.stop()
    assert "paris" in transcribe(peer.recording())


def test_the_number_is_given_back_at_the_end(exchange):
    pbx, server = exchange
    assert f"sip:{USER}@127.0.0.1:" in pbx.command("pjsip show contacts")
    server.stop()
    assert "No objects found" in pbx.command("pjsip show contacts")
