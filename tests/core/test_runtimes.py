"""Which models a process listens and speaks with. The real ones: tests/models and tests/wiring."""

import pytest

from agent import runtimes
from agent.errors import MissingModelError
from agent.models.catalog import CATALOG
from agent.runtimes import Runtimes
from agent.settings import AsrSettings, CloudSection, LlmSettings, ModelSettings, Settings


@pytest.fixture
def nothing_fetched(tmp_path, monkeypatch):
    monkeypatch.setenv("DUPLEX_HOME", str(tmp_path / "home"))
    monkeypatch.setattr(runtimes, "Moonshine", lambda path: path)
    return tmp_path


def test_the_recogniser_that_stands_in_is_the_one_named(nothing_fetched):
    lesser = nothing_fetched / "tiny"
    lesser.mkdir()
    for name in CATALOG["moonshine-tiny-en"].finished:
        (lesser / name).touch()
    settings = Settings(models=ModelSettings(paths={"moonshine-tiny-en": lesser}))
    assert Runtimes(settings)._moonshine() == ("moonshine-tiny-en", lesser)


def test_without_any_recogniser_the_fix_is_named(nothing_fetched):
    with pytest.raises(MissingModelError, match="duplex models fetch moonshine-base-en"):
        Runtimes(Settings())._moonshine()


def test_the_next_conversation_is_held_by_the_settings_of_now(nothing_fetched):
    cloud = CloudSection(url="ws://127.0.0.1:8010")
    loaded = Runtimes(
        Settings(asr=AsrSettings(cloud=cloud), llm=LlmSettings(url="http://x/v1", model="m"))
    )
    client = loaded._cloud.new_client
    now = Settings(
        asr=AsrSettings(hints=("Duplex",), model="moonshine-tiny-en"),
        llm=LlmSettings(temperature=0.9, max_tokens=7, first_token_s=3.0),
    )
    loaded.adopt(now)
    assert loaded._sampling() == {"temperature": 0.9, "max_tokens": 7} | loaded._sampling()
    assert loaded._patience().first_token_s == 3.0
    # The cloud is told the new hints; where it is, and which model listens here, stays.
    assert loaded._cloud.new_client is not client
    assert loaded._settings.asr.cloud == cloud and loaded._settings.llm.url == "http://x/v1"
    assert loaded._settings.asr.model == "moonshine-base-en"
    client = loaded._cloud.new_client
    loaded.adopt(now)
    assert loaded._cloud.new_client is client
