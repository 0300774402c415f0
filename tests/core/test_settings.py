import pytest

from agent.errors import SettingsError
from agent.settings import load


def test_the_defaults_are_complete():
    assert load(environ={}).server.port == 7860


def test_the_environment_wins_over_the_file(tmp_path):
    path = tmp_path / "agent.yaml"
    path.write_text("server:\n  port: 8000\n  host: 127.0.0.2\n")
    settings = load(path, {"DUPLEX_SERVER__PORT": "9000"})
    assert (settings.server.port, settings.server.host) == (9000, "127.0.0.2")


def test_an_unknown_key_offers_the_nearest(tmp_path):
    path = tmp_path / "agent.yaml"
    path.write_text("server:\n  prot: 8000\n")
    with pytest.raises(SettingsError, match=r"unknown setting 'server\.prot': did you mean 'port'"):
        load(path, {})


def test_a_strange_key_lists_what_there_is():
    with pytest.raises(SettingsError, match="known keys: cut_off_cost_s"):
        load(environ={"DUPLEX_TURNS__XYZZY": "1"})


def test_a_bad_value_names_its_key():
    with pytest.raises(SettingsError, match=r"server\.port"):
        load(environ={"DUPLEX_SERVER__PORT": "high"})


@pytest.mark.parametrize("text", ["- a\n- b\n", "just words", "a: [1"])
def test_a_file_of_another_kind_is_refused(tmp_path, text):
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    with pytest.raises(SettingsError, match="agent\\.yaml"):
        load(path, {})


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(SettingsError, match="nowhere\\.yaml"):
        load(tmp_path / "nowhere.yaml", {})


def test_a_key_is_never_shown():
    settings = load(environ={"DUPLEX_LLM__KEY": "sk-canary"})
    assert "sk-canary" not in repr(settings)


def test_settings_cannot_be_changed_later():
    with pytest.raises(ValueError, match="frozen"):
        load(environ={}).server.port = 1
