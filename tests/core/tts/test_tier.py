"""The choice of the tier, and what is remembered of the machine's speed."""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

from agent.errors import MissingModelError, SettingsError
from agent.tts import tier
from agent.tts.speech import Speech
from agent.tts.tier import Speed, Tier, decide, measure


@pytest.mark.parametrize(
    ("speed", "chosen"),
    [
        (Speed(0.49, 0.3), Tier.FULL),
        (Speed(0.5, 0.3), Tier.FULL),
        (Speed(0.51, 0.3), Tier.STUDENT),
        (None, Tier.STUDENT),
    ],
)
def test_full_only_at_twice_real_time(speed: Speed | None, chosen: Tier):
    assert decide(speed) is chosen


class _TwoSecondVoice:
    name = "fake"
    sample_rate = 24_000

    def speak(self, clause: str) -> Iterator[Speech]:
        for _ in range(2):
            yield Speech(np.zeros(24_000, np.int16), 24_000, ())


def test_speed_is_work_for_speech_and_time_to_its_first_stretch():
    ticks = iter(range(100))
    # The clock is read at the start, at the first stretch and at the end of each run.
    speed = measure(_TwoSecondVoice(), clock=lambda: float(next(ticks)))
    assert speed == Speed(real_time_factor=1.0, first_audio_s=1.0)


def test_speed_is_remembered_for_this_machine_and_these_weights_only(tmp_path: Path):
    cache = tmp_path / "voice-speed.json"
    here = tier.machine_key()
    assert tier._recall(cache, here) is None
    tier._remember(cache, here, Speed(0.4, 0.2))
    assert tier._recall(cache, here) == Speed(0.4, 0.2)
    assert tier._recall(cache, "another") is None
    assert tier._recall(cache, tier.machine_key(tmp_path / "my-kokoro")) is None


@pytest.mark.parametrize("damaged", ["", "{", "[]", '{"machine": 1}', "null"])
def test_a_damaged_memory_is_no_memory(tmp_path: Path, damaged: str):
    cache = tmp_path / "voice-speed.json"
    cache.write_text(damaged)
    assert tier._recall(cache, tier.machine_key()) is None


def test_an_unknown_tier_names_those_there_are():
    with pytest.raises(SettingsError, match="auto, full or student"):
        tier.open_voice("fastest")


def test_the_student_has_one_voice():
    with pytest.raises(SettingsError, match="af_heart"):
        tier.open_voice("student", voice="bf_emma")


@pytest.mark.parametrize("name", ["student", "full"])
def test_the_settings_say_where_the_voice_is(tmp_path: Path, name: str):
    model = {"student": "kokoro-student", "full": "kokoro-82m"}[name]
    with pytest.raises(MissingModelError, match="the settings point to"):
        tier.open_voice(name, paths={model: tmp_path})


def test_of_two_who_start_at_once_one_measures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("DUPLEX_HOME", str(tmp_path))
    monkeypatch.setattr(tier.store, "is_present", lambda *_: True)
    measured: list[object] = []
    both_are_here = threading.Barrier(2, timeout=10)

    def slow(voice: object) -> Speed:
        measured.append(voice)
        return Speed(0.9, 0.4)

    monkeypatch.setattr(tier, "_open_full", lambda *_: _TwoSecondVoice())
    monkeypatch.setattr(tier, "_open_student", lambda *_: "student")
    monkeypatch.setattr(tier, "measure", slow)

    def start(_: int) -> object:
        both_are_here.wait()
        return tier.open_voice("auto")

    with ThreadPoolExecutor(2) as pool:
        assert list(pool.map(start, range(2))) == ["student", "student"]
    assert len(measured) == 1


def test_a_speed_that_cannot_be_kept_is_measured_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    home = tmp_path / "home"
    home.write_text("a file where a folder should be")
    monkeypatch.setenv("DUPLEX_HOME", str(home))
    monkeypatch.setattr(tier.store, "is_present", lambda *_: True)
    monkeypatch.setattr(tier, "_open_full", lambda *_: _TwoSecondVoice())
    monkeypatch.setattr(tier, "measure", lambda _: Speed(0.2, 0.1))
    for _ in range(2):
        assert isinstance(tier.open_voice("auto"), _TwoSecondVoice)
