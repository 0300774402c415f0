"""A voice that is late, on virtual time: the next one speaks."""

from agent.eval.scripted import unused_executor
from agent.settings import Settings, TtsSettings
from agent.tts.standby import StandbyVoice
from agent.virtual_time import PricedExecutor
from tests.scenarios.fakes import SteadyVoice
from tests.scenarios.scripted import ScriptedCall


class LateVoice(SteadyVoice):
    """Takes its time for every clause."""

    name = "late"

    def __init__(self, takes_s):
        super().__init__()
        self.asked, self.threads, self._takes_s = 0, [], takes_s

    def executor(self, name):
        if not name.startswith("tts"):
            return unused_executor(name)
        self.threads.append(PricedExecutor(name))
        return self.threads[-1]

    def speak(self, clause):
        self.asked += 1
        self.threads[-1].charge(self._takes_s)
        yield from super().speak(clause)


def call(late, *others, first_audio_s=0.5):
    scripted = ScriptedCall(settings=Settings(tts=TtsSettings(first_audio_s=first_audio_s)))
    scripted.ears = {
        "voice": StandbyVoice([late, *others]) if others else late,
        "executor": late.executor,
    }
    scripted.user_says("Tell me about Saturn.", 0.5, 1.5)
    scripted.agent_says("It is far away. It has many rings.")
    return scripted.run(15.0)


def begins(outcome):
    return outcome.agent_speaks_at()[0][0]


def test_the_next_voice_speaks_when_the_first_audio_is_late():
    late = LateVoice(5.0)
    outcome = call(late, SteadyVoice())
    patient = call(LateVoice(5.0), SteadyVoice(), first_audio_s=1.5)
    assert 0.9 < begins(patient) - begins(outcome) < 1.1
    # The budget is spent once: the late voice rests meanwhile.
    assert late.asked == 1
    assert outcome.history[-1]["content"] == "It is far away. It has many rings."


def test_a_voice_within_its_budget_keeps_the_clause():
    late = LateVoice(0.4)
    outcome = call(late, SteadyVoice())
    assert late.asked == 2
    assert outcome.history[-1]["content"] == "It is far away. It has many rings."


def test_where_there_is_no_other_voice_the_late_one_is_waited_for():
    late = LateVoice(1.5)
    outcome = call(late)
    assert late.asked == 2
    assert outcome.history[-1]["content"] == "It is far away. It has many rings."


def test_the_last_voice_is_waited_for_as_well():
    late = LateVoice(1.5)
    outcome = call(late, late)
    # Both names are the same slow voice, on two threads: the second one is not given up.
    assert late.asked == 3
    assert outcome.history[-1]["content"] == "It is far away. It has many rings."
