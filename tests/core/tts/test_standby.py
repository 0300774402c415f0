"""Voices behind a voice that fails."""

import numpy as np
import pytest

from agent.eval.contract import VoiceContract
from agent.tts.speech import Speech, SpokenWord
from agent.tts.standby import StandbyVoice
from tests.scenarios.fakes import SteadyVoice


class Voice(SteadyVoice):
    def __init__(self, name, fails_after=None, rate=24_000):
        super().__init__()
        self.name, self.sample_rate, self._fails_after = name, rate, fails_after
        self.asked = 0

    def speak(self, clause):
        self.asked += 1
        tone = np.full(self.sample_rate // 10, 2000, np.int16)
        for number, word in enumerate(clause.split()):
            if number == self._fails_after:
                raise OSError("the voice is gone")
            yield Speech(tone, self.sample_rate, (SpokenWord(f"{self.name}:{word}", 0, 0.1),))


def said(voice, clause="how far"):
    return [word.text for speech in voice.speak(clause) for word in speech.words]


def test_the_first_voice_speaks_while_it_can():
    first, second = Voice("a"), Voice("b")
    assert said(StandbyVoice([first, second])) == ["a:how", "a:far"] and second.asked == 0


def test_the_next_voice_speaks_when_it_fails_and_the_first_rests():
    now = [0.0]
    first, second = Voice("a", fails_after=0), Voice("b")
    voice = StandbyVoice([first, second], clock=lambda: now[0])
    assert said(voice) == said(voice) == ["b:how", "b:far"] and first.asked == 1
    now[0] = 31.0
    said(voice)
    assert first.asked == 2


def test_what_was_half_heard_is_not_said_again():
    voice = StandbyVoice([Voice("a", fails_after=1), Voice("b")])
    stretches = voice.speak("how far")
    assert next(stretches).words[0].text == "a:how"
    with pytest.raises(OSError, match="gone"):
        next(stretches)
    assert said(voice, "away") == ["b:away"]


def test_when_none_is_left_the_failure_is_told():
    voice = StandbyVoice([Voice("a", fails_after=0), Voice("b", fails_after=0)])
    for _ in range(2):
        with pytest.raises(OSError, match="gone"):
            said(voice)


def test_all_sound_at_the_rate_of_the_first():
    voice = StandbyVoice([Voice("a", fails_after=0), Voice("b", rate=16_000)])
    (speech,) = voice.speak("far")
    assert speech.sample_rate == 24_000 and len(speech.pcm) == pytest.approx(2400, abs=4)


def test_a_voice_that_is_late_rests_while_there_is_another():
    now = [0.0]
    first, second = Voice("a"), Voice("b")
    voice = StandbyVoice([first, second], clock=lambda: now[0])
    late = voice.speak("how far")
    next(late)
    assert voice.pass_over(late) and said(voice) == ["b:how", "b:far"]
    # Another conversation had been waiting for the same voice: the second one is not to blame.
    assert voice.pass_over(late) and said(voice) == ["b:how", "b:far"]
    behind = voice.speak("how far")
    next(behind)
    assert not voice.pass_over(behind)
    now[0] = 31.0
    assert said(voice) == ["a:how", "a:far"]


class TestContract(VoiceContract):
    def make(self):
        return StandbyVoice([Voice("a", fails_after=0), SteadyVoice()])
