"""`duplex talk` on a real sound server: PulseAudio with two cables in place of a sound card."""

import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from tests import speech
from tests.live import ROOT

RATE = 16_000
BLOCK = RATE // 50
LOUD = 300
QUIET_S = 1.0
PATIENCE_S = 60.0
"""Of recorded sound. Covers loading the models on a busy machine."""


@pytest.fixture
def cables(tmp_path):
    """A sound server of our own; what is played to `microphone` is what the agent hears."""
    environ = {
        **os.environ,
        "PULSE_RUNTIME_PATH": str(tmp_path / "pulse"),
        "PULSE_STATE_PATH": str(tmp_path / "pulse"),
        "PULSE_SERVER": f"unix:{tmp_path}/pulse/native",
    }
    for program in ("pulseaudio", "paplay", "parec"):
        if not shutil.which(program):
            pytest.skip(f"{program} is missing: sh tools/system-packages.sh test")
    (tmp_path / "pulse").mkdir()
    # Returns once the server answers.
    subprocess.run(
        [
            *("pulseaudio", "--daemonize=yes", "-n", "--exit-idle-time=-1"),
            "--load=module-null-sink sink_name=microphone rate=48000",
            "--load=module-null-sink sink_name=loudspeaker rate=48000",
            f"--load=module-native-protocol-unix auth-anonymous=1 socket={tmp_path}/pulse/native",
        ],
        env=environ,
        check=True,
        capture_output=True,
        timeout=30,
    )
    yield environ
    os.kill(int((tmp_path / "pulse" / "pid").read_text()), signal.SIGTERM)


class Ears:
    """Hears the loudspeaker; time is counted in what was heard."""

    def __init__(self, environ: dict[str, str]) -> None:
        command = "parec -d loudspeaker.monitor --raw --format=s16le --channels=1 --latency-msec=20"
        self._recorder = subprocess.Popen(
            [*command.split(), f"--rate={RATE}"], env=environ, stdout=subprocess.PIPE
        )

    def utterance(self, path: Path) -> str:
        """Wait for speech and for the silence behind it; give its words."""
        heard, loud_at = [], 0
        for number in range(int(PATIENCE_S * RATE) // BLOCK):
            block = np.frombuffer(self._recorder.stdout.read(2 * BLOCK), np.int16)
            heard.append(block)
            if np.abs(block).max(initial=0) > LOUD:
                loud_at = number
            elif loud_at and (number - loud_at) * BLOCK > QUIET_S * RATE:
                return speech.transcribe(speech.write(path, np.concatenate(heard)))
        pytest.fail(f"the agent said nothing within {PATIENCE_S:g} s", pytrace=False)

    def close(self) -> None:
        self._recorder.terminate()
        self._recorder.wait(timeout=10)


def test_a_question_into_the_microphone_is_answered_from_the_loudspeaker(cables, tmp_path):
    question = speech.write(
        tmp_path / "question.wav", speech.dialogue("What is the capital of France?", 0.2)
    )
    ears = Ears(cables)
    agent = subprocess.Popen(
        [sys.executable, "-m", "agent", "talk", "--input", "pulse", "--output", "pulse"],
        cwd=ROOT,
        env={
            **cables,
            "PYTHONPATH": str(ROOT),
            "PULSE_SOURCE": "microphone.monitor",
            "PULSE_SINK": "loudspeaker",
            "DUPLEX_AGENT__GREETING": "Good morning.",
            # Whoever does not end shows where he stands.
            "PYTHONFAULTHANDLER": "1",
        },
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert "good morning" in ears.utterance(tmp_path / "greeting.wav")
        subprocess.run(["paplay", "-d", "microphone", question], env=cables, check=True, timeout=30)
        assert "paris" in ears.utterance(tmp_path / "answer.wav")
        agent.send_signal(signal.SIGINT)
        said, _ = agent.communicate(timeout=30)
        assert "Traceback" not in said, said
    finally:
        ears.close()
        if agent.poll() is None:
            agent.send_signal(signal.SIGABRT)
            print(agent.communicate()[0])
