"""The whole path with real models, as a user starts it: `duplex replay`."""

import json
import subprocess
import sys

import numpy as np
import pytest
import soundfile

from tests.speech import RATE, dialogue, share_said, spoken, write

pytestmark = pytest.mark.model

AUDIBLE = 150
"""Absolute sample value: 30 dB over the recording's noise, 40 dB under its voice."""


@pytest.fixture(scope="module")
def replayed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("replay")
    question = write(
        folder / "in.wav", dialogue(1.0, "What is the capital of France?", 12.0, "Thank you.", 1.0)
    )
    answer = folder / "out.wav"
    command = [sys.executable, "-m", "agent", "replay", question, "--out", answer, "--json"]
    result = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
    assert result.returncode == 0, result.stderr
    return json.loads(result.stdout)["turns"], answer


def test_what_was_said_is_heard(replayed):
    turns, _ = replayed
    assert [turn["turn"] for turn in turns] == [1, 2]
    assert "capital of france" in turns[0]["heard"].lower()
    assert "thank you" in turns[1]["heard"].lower()


def test_what_was_asked_is_answered_by_voice(replayed):
    turns, answer = replayed
    assert "paris" in turns[0]["answered"].lower()
    # A few words may be lost on the recogniser, or written another way; an answer may not.
    assert share_said(answer, " ".join(turn["answered"] for turn in turns)) >= 0.7


def test_every_stage_says_when_it_was(replayed):
    turns, _ = replayed
    first = turns[0]
    marks = first["marks_s"]
    order = ["speech_end", "decided", "first_audio", "answer_end"]
    assert [marks[name] for name in order] == sorted(marks[name] for name in order)
    assert {"recognised", "first_token", "first_clause", "first_speech"} <= marks.keys()
    assert first["speech_start_sample"] < first["speech_end_sample"]
    assert first["decision"]["kind"] == "COMMIT"


def test_the_wait_in_the_record_is_the_silence_in_the_sound(replayed):
    turns, answer = replayed
    question = np.flatnonzero(np.abs(spoken("What is the capital of France?")) > AUDIBLE)
    asked_s = 1.0 + int(question[-1]) / RATE
    track, rate = soundfile.read(answer, dtype="int16")
    heard_s = int(np.flatnonzero(np.abs(track) > AUDIBLE)[0]) / rate
    assert turns[0]["stages"]["voice_to_voice_s"] == pytest.approx(heard_s - asked_s, abs=0.02)
    assert turns[0]["speech_end_sample"] / RATE == pytest.approx(asked_s, abs=0.02)


def test_the_same_audio_gives_the_same_decisions_and_a_picture_of_them(tmp_path):
    question = write(tmp_path / "in.wav", dialogue(0.5, "What is the capital of France?", 1.0))

    def run(*arguments):
        command = [sys.executable, "-m", "agent", *arguments]
        result = subprocess.run(command, capture_output=True, text=True, timeout=180, check=False)
        assert result.returncode == 0, result.stderr
        return result.stdout

    once, again = (json.loads(run("replay", question, "--json")) for _ in range(2))
    assert once == again
    assert {"SPECULATE", "COMMIT"} <= {decision["kind"] for decision in once["decisions"]}
    assert all(decision["reason"] for decision in once["decisions"])

    picture = tmp_path / "turn.svg"
    listed = run("explain", question, "--turn", "1", "--out", picture)
    assert "COMMIT" in listed
    assert ">capital<" in picture.read_text() and "COMMIT" in picture.read_text()
