"""A file and code say the same, and what is wrong in a file is told with its line."""

import json
import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from loguru import logger
from pydantic import ValidationError

from agent.__main__ import main
from agent.agent import Agent
from agent.document import secrets, variable, write
from agent.errors import SettingsError
from agent.live import LIVE, MODELS, applied, with_models
from agent.run import FileAgent
from agent.settings import ServerSettings, Settings, load
from tests.core.api.test_values import CASES

words = st.text(st.characters(exclude_categories=["Cs", "Cc"]), max_size=30)
plain = {
    "agent": {"name": words, "instructions": st.text("ab:#\n'\"{}$ -", max_size=40)},
    "agent.tools": st.lists(st.sampled_from(["math:sqrt", "a.b:c"]), max_size=2),
    "turns": {"speculate": st.booleans(), "policy": st.none() | st.just("a:b")},
    "llm": {"temperature": st.floats(0, 2), "key": st.none() | st.text("abc", min_size=1)},
    "models": {
        "asr": st.none() | st.sampled_from(["moonshine:tiny", "parakeet:https://a.example"]),
        "llm": st.lists(st.sampled_from(["embedded", "openai:http://a/v1#b"]), max_size=2),
        "tts": st.none() | st.sampled_from(["kokoro", "kokoro-full:af_bella", "a.b:C"]),
    },
    "server": {"port": st.integers(0, 65535), "drain_s": st.floats(0, 100)},
}


@st.composite
def any_settings(draw):
    values = {}
    for name, fields in plain.items():
        section, _, key = name.partition(".")
        made = {key: draw(fields)} if key else {k: draw(v) for k, v in fields.items()}
        values.setdefault(section, {}).update(made)
    return Settings.model_validate(values)


@given(any_settings())
@settings(max_examples=CASES, deadline=None)
def test_settings_written_and_read_are_the_same(tmp_path_factory, made):
    path = tmp_path_factory.getbasetemp() / "round.yaml"
    path.write_text(text := write(made), encoding="utf-8")
    key = made.llm.key.get_secret_value() if made.llm.key else None
    if key:
        assert f"key: ${{{variable(('llm', 'key'))}}}" in text
    again = load(path, {variable(("llm", "key")): key} if key else {})
    assert again == made
    assert write(again) == text


def told(tmp_path, text, environ=None):
    path = tmp_path / "agent.yaml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(SettingsError) as error:
        load(path, environ or {})
    return str(error.value).replace(str(path), "agent.yaml")


WRONG = [
    ("agent:\n  name: x\n  greting: hi\n", ":3: unknown setting 'agent.greting': did you mean 'g"),
    ("servr:\n  port: 1\n", ":1: unknown setting 'servr': did you mean 'server'?"),
    ("tts:\n\n  tier: stundent\n", ":3: tts.tier: did you mean 'student'?"),
    ("server:\n  port: high\n", ":2: server.port: Input should be a valid integer"),
    ("models:\n  asr: moonshine:bsae\n", ":2: models.asr: there is no asr 'moonshine:bsae': did y"),
    ("models:\n  asr: moonshine:bsae\n", "did you mean 'moonshine:base'?"),
    ("models:\n  llm:\n    - embedded\n    - opnai:x\n", ":4: models.llm.1: there is no llm 'o"),
    ("models:\n  llm: ['opnai:x']\n", "did you mean 'openai'?"),
    ("agent:\n  tools:\n  - no colon\n", ":3: agent.tools.0: String should match"),
    ("agent:\n  name: a\nagent:\n  name: b\n", ":3: 'agent' is there twice, first on 1"),
    ("agent:\n  name: a\n name: [\n", ":3: not YAML"),
    ("- a\n", " must hold sections"),
]


@pytest.mark.parametrize(("text", "message"), WRONG)
def test_what_is_wrong_is_told_with_its_line(tmp_path, text, message):
    assert message in told(tmp_path, text)


def test_a_secret_is_a_reference_and_never_shown(tmp_path):
    path = tmp_path / "agent.yaml"
    message = told(tmp_path, "llm:\n  key: sk-canary\n")
    assert "agent.yaml:2: llm.key is a secret" in message
    assert "${DUPLEX_LLM__KEY}" in message and "canary" not in message

    message = told(tmp_path, "llm:\n  key: ${MY_KEY}\n")
    assert "agent.yaml:2: llm.key: MY_KEY is not set" in message

    path.write_text("llm:\n  key: ${MY_KEY}\n")
    read = load(path, {"MY_KEY": "sk-canary"})
    assert read.llm.key.get_secret_value() == "sk-canary"
    assert "canary" not in repr(read) + write(read)


def test_every_secret_of_the_settings_is_known():
    assert ("llm", "key") in set(secrets(Settings))
    assert ("phone", "twilio", "auth_token") in set(secrets(Settings))


@given(st.text(max_size=80) | st.text("abc: -[]{}&*!|>'\"#\n\t", max_size=40))
@settings(max_examples=CASES, deadline=None)
def test_any_text_is_settings_or_an_error_that_says_where(tmp_path_factory, text):
    path = tmp_path_factory.getbasetemp() / "any.yaml"
    path.write_text(text, encoding="utf-8", newline="")
    try:
        load(path, {})
    except SettingsError as error:
        assert "any.yaml" in str(error)


def test_the_schema_is_that_of_the_settings(capsys):
    assert main(["check", "--schema"]) == 0
    schema = json.loads(capsys.readouterr().out)
    assert set(schema["properties"]) == set(Settings.model_fields)


def test_check_looks_at_the_python_that_is_named(tmp_path, capsys, monkeypatch):
    monkeypatch.setattr("sys.path", list(__import__("sys").path))
    (tmp_path / "checked_shop.py").write_text(
        'def book(guests: int) -> str:\n    """Book a table."""\n    return "done"\n'
    )
    path = tmp_path / "agent.yaml"
    path.write_text("agent:\n  name: Shop\n  tools: [checked_shop:book]\n")
    assert main(["check", str(path)]) == 0
    assert re.search(r"in order; agent Shop, tools: book", capsys.readouterr().out)

    for tool, why in (
        ("checked_shop:bok", "did you mean 'book'"),
        ("no_such_module:x", "cannot import 'no_such_module'"),
    ):
        path.write_text(f"agent:\n  tools: [{tool}]\n")
        assert main(["check", str(path)]) == 1
        assert why in capsys.readouterr().err
    assert main(["check"]) == 1


def test_a_changed_file_is_a_changed_agent_and_a_wrong_one_changes_nothing(tmp_path):
    path = tmp_path / "agent.yaml"
    path.write_text("agent:\n  greeting: one\n")
    current = FileAgent(path, load(path, {}))
    assert current().greeting == "one"
    path.write_text("agent:\n  greeting: two, changed\n")
    assert current().greeting == "two, changed"
    path.write_text("agent:\n  greting: three\n")
    assert current().greeting == "two, changed"
    path.unlink()
    assert current().greeting == "two, changed"


@pytest.fixture
def warnings():
    lines = []
    sink = logger.add(lambda message: lines.append(message.record["message"]), level="WARNING")
    yield lines
    logger.remove(sink)


def test_a_changed_file_changes_what_needs_no_restart_and_names_the_rest(tmp_path, warnings):
    path = tmp_path / "agent.yaml"
    path.write_text("turns: {profile: auto}\n")
    file = FileAgent(path, load(path, {}))
    # As the command line has it: no change of the file's.
    running = Settings(server=ServerSettings(port=0))
    path.write_text("turns: {profile: short}\nllm: {temperature: 0.7}\nplayout: {lead_s: 0.1}\n")
    now = applied(running, file.settings())
    assert (now.turns.profile, now.llm.temperature, now.playout.lead_s) == ("short", 0.7, 0.1)
    assert now.server.port == 0 and not warnings
    path.write_text(
        "phone: {voicemail: Call us., transfer_to: ['+15550100'], ladder: {asks: 1}}\n"
        "record: {question: May I record}\n"
    )
    now = applied(running, file.settings())
    assert (now.phone.voicemail, now.phone.transfer_to) == ("Call us.", ("+15550100",))
    assert now.record.question == "May I record" and not warnings
    path.write_text("record: {folder: kept}\n")
    assert applied(running, file.settings()).record.folder is None
    assert warnings.pop() == "restart to apply what has changed: record.folder"

    path.write_text(
        "turns: {profile: short}\nserver: {port: 7000}\nmodels: {asr: moonshine:tiny}\n"
    )
    now = applied(running, file.settings())
    assert now.llm.temperature == 0.3 and now.server.port == 0 and now.models.asr is None
    # What must be loaded comes later, and without a restart.
    assert with_models(running, file.settings()).models.asr == "moonshine:tiny"
    assert with_models(running, file.settings()).server.port == 0
    assert warnings == ["restart to apply what has changed: server.port"]
    # Once for each change.
    assert file.settings() is file.settings() and len(warnings) == 1

    path.write_text("turns: {profile: nonsense}\n")
    assert file.settings().server.port == 7000


def test_every_setting_that_is_said_to_need_no_restart_is_one():
    for section, keys in [*LIVE.items(), *MODELS.items()]:
        assert keys <= set(getattr(Settings(), section).model_dump()), section
    for section in ("models", "asr", "turns", "llm", "tts", "playout", "record"):
        comes = LIVE.get(section, frozenset()) | MODELS.get(section, frozenset())
        # What is kept where, and for how long, is asked once, by what sweeps.
        comes |= {"folder", "keep_days"}
        assert comes >= set(getattr(Settings(), section).model_dump()), section


def test_an_agent_of_the_settings_is_the_agent_of_code():
    from_file = Agent.of(Settings.model_validate({"agent": {"instructions": "Be brief."}}).agent)
    assert from_file.instructions == "Be brief."
    with pytest.raises(ValidationError):
        Settings.model_validate({"agent": {"voice": "x"}})


@pytest.mark.parametrize(
    ("line", "why"),
    [
        ("agent: {tools: ['math:sqrt', 'math:sqr']}", "agent.tools.1: math has no 'sqr'"),
        ("agent: {tools: ['no_such:x']}", "agent.tools.0: cannot import 'no_such'"),
        ("agent: {flow: 'math:fow'}", "agent.flow: math has no 'fow'"),
        ("agent: {mcp: [{comand: [x]}]}", "'agent.mcp.0.comand': did you mean 'command'?"),
        ("turns: {policy: 'agent.turns.manual:ManualPolicie'}", "did you mean 'ManualPolicy'?"),
        ("models: {tts: 'kokoro:af_hart'}", "models.tts: there is no voice 'af_hart': did you"),
        ("models: {tts: 'kokoro-student:af_bella'}", "there is no voice 'af_bella'"),
        ("models: {tts_standby: [kokoro, 'kokoro:x']}", "models.tts_standby.1: there is no voice"),
        ("models: {llm: ['embedded:smollm']}", "did you mean 'smollm2-135m'?"),
        ("models: {llm: [embedded, 'openai:http://a/v1#b ${NO_KEY}']}", "models.llm.1: the key of"),
        ("models: {asr: 'no_such.asr:Mine'}", "models.asr: cannot import 'no_such.asr'"),
        ("tts: {voice: af_bela}", "did you mean 'af_bella'?"),
        ("llm: {embedded: qwen}", "llm.embedded: there is no embedded model 'qwen'"),
    ],
)
def test_what_a_file_names_is_looked_for_and_told_with_its_line(tmp_path, capsys, line, why):
    path = tmp_path / "agent.yaml"
    path.write_text(f"server: {{port: 0}}\n{line}\n")
    assert main(["check", str(path)]) == 1
    told = capsys.readouterr().err
    assert f"{path}:2: " in told and why in told
