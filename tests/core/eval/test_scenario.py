"""Scenarios as files: what they may say, and what is said of a mistake."""

import pytest

from agent.errors import SettingsError
from agent.eval.scenario import load, made

GOOD = """
name: table
settings:
  agent: {name: Ada, greeting: ""}
script:
  - say: A table for [1.2] four.
    answer: four
  - backchannel: Mhm.
    over_s: 1
faults:
  noise: {snr_db: 15, kind: babble}
  telephone: true
limits: {wer: 0.2}
"""


def read(tmp_path, text):
    path = tmp_path / "scenario.yaml"
    path.write_text(text)
    return load(path, {})


def test_a_scenario_says_who_speaks_and_what_goes_wrong(tmp_path):
    scenario = read(tmp_path, GOOD)
    question, nod = scenario.script
    assert question.is_turn and not nod.is_turn
    assert scenario.settings.agent.name == "Ada"
    assert scenario.faults.telephone and scenario.limits.cut_offs == 0


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("snr_db: 15", "snr: 15", "scenario.yaml:11"),
        ("telephone: true", "telefone: true", "did you mean 'telephone'?"),
        ("say: A table for [1.2] four.", "say: A\n    dictate: '1'", "needs one of"),
        ("over_s: 1", "over_s: 1\n    at_word: moon", "at_word or over_s"),
        ("kind: babble", "kind: bable", "did you mean 'babble'?"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path, old, new, told):
    with pytest.raises(SettingsError, match=told.replace("?", r"\?")):
        read(tmp_path, GOOD.replace(old, new))


def test_files_lie_beside_the_scenario(tmp_path):
    (tmp_path / "agent.yaml").write_text("agent: {name: Bo}\n")
    text = "agent_file: agent.yaml\nscript: [{wav: hello.wav, text: hello}]\n"
    scenario = read(tmp_path, text)
    assert scenario.settings.agent.name == "Bo"
    assert scenario.script[0].wav == tmp_path / "hello.wav" and scenario.script[0].is_turn


def test_the_judges_key_is_a_reference(tmp_path):
    judge = "judge: {url: 'http://127.0.0.1:1/v1', model: m, key: secret, criteria: [It is kind.]}"
    with pytest.raises(SettingsError, match="environment variable"):
        made({"script": [{"say": "Hi"}], "judge": {"url": "http://x", "model": "m",
              "key": "secret", "criteria": ["a"]}})  # fmt: skip
    with pytest.raises(SettingsError) as error:
        read(tmp_path, f"script: [{{say: Hi}}]\n{judge}\n")
    assert "secret," not in str(error.value)
