import pytest

from agent.errors import SettingsError
from agent.llm.endpoint import resolve

SECRET = "sk-very-secret"


def test_nothing_given_means_embedded():
    assert resolve(None, None, None, {}) is None
    assert resolve("", "", " ", {"OPENAI_BASE_URL": ""}) is None


def test_a_key_alone_sends_nothing_anywhere():
    assert resolve(None, None, None, {"OPENAI_API_KEY": SECRET}) is None


def test_settings_win_over_the_environment():
    environ = {"OPENAI_BASE_URL": "https://b.example/v1", "OPENAI_MODEL": "b"}
    endpoint = resolve("https://a.example/v1/", "a", "k", environ)
    assert (endpoint.base_url, endpoint.model, endpoint.key) == ("https://a.example/v1", "a", "k")


def test_environment_alone():
    environ = {
        "OPENAI_BASE_URL": "http://127.0.0.1:11434/v1",
        "OPENAI_MODEL": "m",
        "OPENAI_API_KEY": SECRET,
    }
    endpoint = resolve(None, None, None, environ)
    assert (endpoint.base_url, endpoint.model) == ("http://127.0.0.1:11434/v1", "m")
    assert endpoint.key == SECRET


def test_the_environments_key_stays_with_the_environments_url():
    environ = {"OPENAI_BASE_URL": "https://b.example/v1", "OPENAI_API_KEY": SECRET}
    assert resolve("https://a.example/v1", "a", None, environ).key != SECRET


def test_clients_refuse_an_empty_key_so_there_is_none():
    assert resolve("http://127.0.0.1:1/v1", "a", None, {}).key


def test_the_key_is_never_shown():
    assert SECRET not in repr(resolve("https://a.example/v1", "a", SECRET, {}))


@pytest.mark.parametrize(
    "url",
    [
        SECRET,
        "localhost:8080",
        "ftp://a.example/v1",
        "http:///v1",
        "http://a.example:port/v1",
        "http://a.example:0/v1",
        "http://a.example:99999/v1",
        "http://[::1/v1",
        f"https://me:{SECRET}@a.example/v1",
        f"https://a.example/v1?key={SECRET}",
        "https://a.example/v1/chat/completions",
    ],
)
@pytest.mark.parametrize("source", ["llm.url", "OPENAI_BASE_URL"])
def test_a_bad_url_is_named_by_its_source_and_not_repeated(url, source):
    settings, environ = (url, {}) if source == "llm.url" else (None, {source: url})
    with pytest.raises(SettingsError, match=source) as caught:
        resolve(settings, "a", SECRET, environ)
    assert SECRET not in str(caught.value)


def test_a_url_needs_a_model():
    with pytest.raises(SettingsError, match=r"llm\.model or OPENAI_MODEL"):
        resolve("https://a.example/v1", None, SECRET, {})
