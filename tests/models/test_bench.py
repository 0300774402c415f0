"""Spoken scenarios with the real models, on virtual time: our agent, a stock bot, and faults."""

import json

import pytest

from agent.__main__ import main
from tests.speech import spoken, write

pytestmark = [pytest.mark.model, pytest.mark.slow]

AGENT = {"agent": {"instructions": "You are a friendly guide.", "greeting": ""}}


def test_a_recording_a_hesitation_and_a_nod_are_scored(duplex, tmp_path):
    question = write(tmp_path / "ask.wav", spoken("What is the capital of France?"))
    outcome = duplex.scenario(
        {
            "settings": AGENT,
            "script": [
                {"wav": question, "text": "What is the capital of France?", "answer": "paris"},
                {"say": "Tell me [0.8] what bees make."},
                {"backchannel": "Mhm.", "over_s": 0.2},
            ],
            "limits": {"wer": 0.2, "context_errors": 0},
        }
    )
    outcome.require()
    card = outcome.card
    assert card.turns == 2 and card.overlaps == 1 and card.heard_words >= 4


def test_everything_goes_wrong_at_once_and_the_caller_is_answered(duplex):
    outcome = duplex.scenario(
        {
            "settings": AGENT,
            "script": [{"say": "What is the capital of France?"}],
            "faults": {
                "noise": {"snr_db": 25},
                "echo": {"level_db": -35},
                "network": {"loss": 0.01, "jitter_s": 0.03},
                "telephone": True,
                "recogniser": {"slow_s": 0.2},
                "model": {"slow_s": 2.0},
                "voice": {"slow_s": 0.1},
            },
        }
    )
    # The first thing heard is the filler, said while the model is late.
    said = " ".join(word.text for word in outcome.call.words)
    assert said.startswith("One moment.") and "paris" in said.lower()
    assert outcome.card.voice_to_voice_s[0] > 1.0


def test_people_talking_behind_the_caller_do_not_keep_him_waiting(duplex):
    outcome = duplex.scenario(
        {
            "settings": AGENT,
            "script": [
                {"say": "What is the capital of France?", "answer": "paris"},
                {"say": "How many days are in a week?"},
            ],
            "faults": {"noise": {"snr_db": 20, "kind": "babble"}},
        }
    )
    outcome.require()
    card = outcome.card
    assert card.turns == 2 and card.unanswered == 0
    assert max(card.voice_to_voice_s) < 3.0


def test_the_command_compares_with_a_stock_bot_and_fails_on_a_limit(tmp_path, capsys):
    path = tmp_path / "pause.yaml"
    path.write_text(
        "settings: {agent: {instructions: You are a guide., greeting: ''}}\n"
        "script: [{say: 'I would like to know [1.0] what bees make.'}]\n"
        "limits: {voice_to_voice_p50_s: 0.001}\n"
    )
    report = tmp_path / "report.html"
    code = main(["bench", str(path), "--against", "stock", "--json", "--out", str(report)])
    ours, stock = (json.loads(line) for line in capsys.readouterr().out.splitlines())
    assert code == 1 and not ours["passed"]
    assert (ours["party"], stock["party"]) == ("duplex", "stock pipecat")
    assert ours["cut_offs"] == 0 and stock["turns"] == 1
    assert report.read_text().count("<svg") == 2
