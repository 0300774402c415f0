"""Which models a process listens and speaks with. The real ones: tests/models and tests/wiring."""

import pytest

from agent import runtimes
from agent.errors import MissingModelError
from agent.models.catalog import CATALOG
from agent.runtimes import Runtimes
from agent.settings import ModelSettings, Settings


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
