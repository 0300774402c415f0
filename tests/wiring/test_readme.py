"""Every command in the README, run as it stands there."""

import json
import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from agent.settings import load
from tests.speech import dialogue, write

pytestmark = pytest.mark.model

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BIN = Path(sys.executable).parent


def run(*command, **options):
    return subprocess.run(
        command, cwd=ROOT, capture_output=True, text=True, timeout=300, check=False, **options
    )


def test_every_command_is_known_to_this_test():
    blocks = re.findall(r"```sh\n(.*?)```", README, re.S)
    lines = [line for block in blocks for line in block.splitlines() if line.strip()]
    inline = re.findall(r"`((?:make|\.venv/bin/duplex|duplex|python -m) [^`]*)`", README)
    commands = {" ".join(command.split("#")[0].split()) for command in [*lines, *inline]}
    assert commands == {
        "make serve",
        "make serve WEBRTC=no",
        "make test",
        ".venv/bin/duplex talk",
        ".venv/bin/duplex serve --sip",  # tests/sip calls it
        ".venv/bin/duplex run agent.yaml",
        ".venv/bin/duplex explain in.wav --out turns.svg",
        ".venv/bin/duplex replay in.wav --out out.wav --json",
        ".venv/bin/duplex doctor",
        "python -m benchmarks.voice_to_voice",
        "python -m benchmarks.capacity",
        "duplex --config agent.yaml serve",
        "duplex models fetch moonshine-tiny-en",
        # tests/nemo/test_service.py
        "make parakeet && DUPLEX_ASR_KEYS=SECRET .venv-parakeet/bin/duplex asr-server "
        "--host 0.0.0.0 --model nvidia/parakeet-tdt-0.6b-v2 --device cuda",
    }


@pytest.mark.skipif(not (ROOT / "Makefile").exists(), reason="only for a checkout")
def test_make_serve_prints_an_address_and_ends_when_told():
    environ = {**os.environ, "DUPLEX_SERVER__PORT": "0"}
    process = subprocess.Popen(
        ["make", "serve"],
        cwd=ROOT,
        env=environ,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    )
    try:
        said = []
        for line in process.stdout:
            said.append(line)
            if "Duplex is ready on http://127.0.0.1:" in line:
                break
        assert "Duplex is ready" in said[-1], "".join(said[-20:])
    finally:
        os.killpg(process.pid, signal.SIGINT)
        process.communicate(timeout=60)


def test_make_serve_can_leave_webrtc_out():
    plan = run("make", "-n", "-B", "serve", "WEBRTC=no")
    assert '-e "."' in plan.stdout and "[webrtc]" not in plan.stdout


def test_doctor_finds_this_machine_in_order():
    result = run(BIN / "duplex", "doctor", env={**os.environ, "DUPLEX_SERVER__PORT": "0"})
    assert result.returncode == 0, result.stdout
    assert "MISSING" not in result.stdout


def test_doctor_names_what_is_missing_and_the_fix(tmp_path):
    environ = {**os.environ, "DUPLEX_HOME": str(tmp_path)}
    result = run(BIN / "duplex", "doctor", env=environ)
    assert result.returncode == 1
    assert "duplex models fetch moonshine-base-en" in result.stdout


def test_replay_writes_records_and_speech(tmp_path):
    question = write(tmp_path / "in.wav", dialogue(0.5, "Hello, how are you?", 0.5))
    answer = tmp_path / "out.wav"
    result = run(BIN / "duplex", "replay", question, "--out", answer, "--json")
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)["turns"][0]["answered"]
    assert answer.stat().st_size > 10_000


def test_explain_draws_the_turns(tmp_path):
    question = write(tmp_path / "in.wav", dialogue(0.5, "Hello, how are you?", 0.5))
    picture = tmp_path / "turns.svg"
    result = run(BIN / "duplex", "explain", question, "--out", picture)
    assert result.returncode == 0, result.stderr
    assert "COMMIT" in result.stdout and picture.read_text().startswith("<svg")


def test_run_serves_the_agent_of_a_file(tmp_path):
    path = tmp_path / "agent.yaml"
    path.write_text("agent:\n  name: Ada\n  instructions: You are Ada.\n")
    checked = run(BIN / "duplex", "check", path)
    assert checked.returncode == 0, checked.stderr
    process = subprocess.Popen(
        [BIN / "duplex", "run", path],
        env={**os.environ, "DUPLEX_SERVER__PORT": "0"},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert any("Duplex is ready on http://127.0.0.1:" in line for line in process.stdout)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)


def test_talk_without_a_sound_card_says_what_to_do():
    result = run(BIN / "duplex", "talk")
    if result.returncode == 0:
        pytest.skip("only for machines without a sound card")
    assert "apt install libportaudio2" in result.stderr or "duplex doctor" in result.stderr


def test_the_settings_shown_are_valid(tmp_path):
    text = re.search(r"```yaml\n(.*?)```", README, re.S)[1]
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    settings = load(path, {})
    assert settings.agent.name == yaml.safe_load(text)["agent"]["name"]


def test_the_benchmark_prints_json():
    result = run(sys.executable, "-m", "benchmarks.voice_to_voice", "--turns", "2")
    assert result.returncode == 0, result.stderr
    figures = json.loads(result.stdout.splitlines()[-1])
    # Pipecat's own services are an extra that the tests do without.
    assert {"duplex", "stock_pipeline"} <= set(figures["systems"])


def test_the_capacity_is_measured():
    options = ["--sessions", "1", "--lasting-s", "3"]
    result = run(sys.executable, "-m", "benchmarks.capacity", *options)
    assert result.returncode == 0, result.stderr
    (tried,) = json.loads(result.stdout.splitlines()[-1])["tried"]
    assert tried["turns"] >= 1 and tried["failures"] == 0


def test_every_file_named_exists():
    for name in re.findall(r"\]\(([\w./-]+)\)", README):
        assert (ROOT / name).exists(), name
