"""Telephones that others wrote call the product and ask; what they recorded is listened to."""

import os
import re
import time

import pytest

from agent.transports.sip import opus
from tests.live import LiveServer
from tests.sip import scenarios
from tests.sip.peers import (
    BARESIP_OPUS,
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


def needs_opus(codec):
    missing = opus.library() is None
    return pytest.param(codec, marks=pytest.mark.skipif(missing, reason="no libopus here"))


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


def heard_in(server, codec):
    """Whether a call was held in this codec, by the log's last word on it."""
    deadline = time.monotonic() + 10
    while f"audio of a call, {codec}:" not in server.log():
        assert time.monotonic() < deadline, server.log()
        time.sleep(0.1)
    return True


@pytest.mark.parametrize("codec", ["PCMU", needs_opus("OPUS")])
def test_baresip_asks_and_is_answered(server, port, question, tmp_path, codec):
    is_opus = codec == "OPUS"
    wav = telephone_wav(tmp_path / "question.wav", question, opus=is_opus)
    peer = Baresip(tmp_path / "b", wav, **(BARESIP_OPUS if is_opus else {}))
    try:
        peer.call(f"sip:duplex@127.0.0.1:{port}", len(question) / RATE)
    finally:
        peer.stop()
    assert heard_in(server, codec)
    assert "paris" in transcribe(peer.recording())


@pytest.mark.parametrize("codec", ["PCMU", needs_opus("OPUS")])
def test_linphone_asks_and_is_answered(server, port, question, tmp_path, codec):
    heard = tmp_path / "heard.wav"
    peer = Linphone(tmp_path / "l", codecs=("opus",) if codec == "OPUS" else ("PCMU",))
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
    assert heard_in(server, codec)
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
