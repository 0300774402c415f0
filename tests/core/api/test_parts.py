"""What the names of models stand for."""

import pytest

from agent.choices import KINDS, parse
from agent.errors import SettingsError
from agent.launch import choose
from agent.parts import backups, resolved
from agent.runtimes import Runtimes
from agent.settings import Settings


def settled(**models):
    return resolved(Settings.model_validate({"models": models}))


class Loud:
    name = "loud"
    sample_rate = 24_000

    def speak(self, clause):
        yield from ()


def test_recognisers_by_name():
    assert settled(asr="moonshine:tiny")[0].asr.model == "moonshine-tiny-en"
    assert settled(asr="moonshine")[0].asr.model == "moonshine-base-en"
    cloud = settled(asr="parakeet:https://asr.example")[0].asr
    assert cloud.cloud.url == "https://asr.example" and cloud.effective_mode == "prefer-cloud"


def test_language_models_by_name_and_their_stand_ins():
    names = ["openai:http://127.0.0.1:11434/v1#qwen3:4b", "embedded"]
    settings, _ = settled(llm=names)
    assert (settings.llm.url, settings.llm.model) == ("http://127.0.0.1:11434/v1", "qwen3:4b")
    assert [choice.kind for choice in backups(settings)] == ["embedded"]
    assert settled(llm=["embedded:smollm2-135m"])[0].llm.embedded == "smollm2-135m"


def test_voices_by_name_by_python_and_as_objects():
    elsewhere = settled(tts="openai:https://a.example/v1#tts-1:alloy")[1].voice
    assert elsewhere.name == "tts-1/alloy"
    settings, _ = settled(tts="kokoro-full:af_bella")
    assert (settings.tts.tier, settings.tts.voice) == ("full", "af_bella")
    _, parts = settled(tts="tests.core.api.test_parts:Loud")
    assert parts.voice.name == "loud"
    brought = Loud()
    _, parts = resolved(*choose(Settings(), tts=brought, policy=object))
    assert parts.voice is brought and parts.policy is object


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("parakeet", "must say which one, such as parakeet:https"),
        ("moonshin:base", "did you mean 'moonshine'"),
        ("moonshine:huge", "moonshine:base"),
        ("shop.asr:", "module:name"),
    ],
)
def test_a_name_that_stands_for_nothing_offers_the_nearest(name, why):
    with pytest.raises(SettingsError, match=why):
        parse("asr", name)
    with pytest.raises(SettingsError, match=why):
        choose(Settings(), asr=name)


def test_a_key_in_a_url_is_never_repeated():
    for name in ("openai:sk-canary", "openai:https://a/v1", "openai:ftp://sk-canary#m"):
        with pytest.raises(SettingsError) as error:
            choose(Settings(), llm=name)
        assert "canary" not in str(error.value)


def test_every_example_is_a_name():
    for role, kinds in KINDS.items():
        for kind in kinds.values():
            parse(role, kind.example)


A, B = "openai:https://a.example/v1#one", "openai:https://b.example/v1#two"


async def keys(llm, key="first", **environ):
    """Keys that the first model and its stand-ins are asked with."""
    settings = Settings.model_validate({"models": {"llm": llm}, "llm": {"key": key}})
    with pytest.MonkeyPatch.context() as patch:
        for name, value in environ.items():
            patch.setenv(name, value)
        runtimes = Runtimes(settings)
        first = runtimes._named
        return [first.key, *[(await runtimes._backup(c)).key for c in backups(settings)]]


async def test_each_stand_in_can_have_a_key_of_its_own():
    assert await keys([A, f"{B} ${{B_KEY}}"], B_KEY="second") == ["first", "second"]
    assert await keys([f"{A} ${{A_KEY}}", B], A_KEY="mine") == ["mine", "none"]


async def test_a_key_goes_to_its_own_server_only():
    assert await keys([A, "openai:https://a.example/v1#small", B]) == ["first", "first", "none"]


async def test_a_key_that_is_not_there_is_named_and_one_written_out_is_refused():
    with pytest.raises(SettingsError, match="the key of two: NO_SUCH_KEY is not set"):
        await keys([A, f"{B} ${{NO_SUCH_KEY}}"])
    with pytest.raises(SettingsError) as error:
        choose(Settings(), llm=f"{B} sk-canary")
    assert "canary" not in str(error.value) and "${KEY}" in str(error.value)


def test_settings_may_be_given_by_section_and_the_environment_wins(monkeypatch):
    monkeypatch.setenv("DUPLEX_TURNS__PROFILE", "short")
    settings, _ = choose({"turns": {"profile": "continuous", "wake_required": True}})
    assert (settings.turns.profile, settings.turns.wake_required) == ("short", True)
    with pytest.raises(SettingsError, match="did you mean 'wake_phrases'"):
        choose({"turns": {"wake_phrase": ["hey"]}})


def test_a_voice_elsewhere_is_not_offline():
    there = "openai:https://a.example/v1#tts-1:alloy"
    for models in ({"tts": there}, {"tts_standby": [there]}):
        runtimes = Runtimes(Settings.model_validate({"models": models}))
        assert not runtimes.is_offline and not runtimes.is_self_contained
    here = there.replace("https://a.example", "http://127.0.0.1:8000")
    assert Runtimes(Settings.model_validate({"models": {"tts": here}})).is_offline
