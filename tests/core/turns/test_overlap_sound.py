import pytest

from agent.turns.overlap_evidence import AgentSpeech, OverlapHop
from agent.turns.overlap_settings import OverlapSettings
from agent.turns.overlap_sound import OverlapSound

HOP, RATE = 512, 16_000
ONSET, CONFIRMED = 10 * HOP, 13 * HOP
SPEAKING = AgentSpeech(said=("Saturn",))


def sound(agent=SPEAKING, *, is_echo_likely=False):
    return OverlapSound(ONSET, CONFIRMED, agent, OverlapSettings(), is_echo_likely=is_echo_likely)


def hear(heard, probability, hops, level=-30.0, echo=-96.0):
    for _ in range(hops):
        heard.push(OverlapHop(heard.now + HOP, probability, level, echo))
    return heard


def test_before_any_hop_it_is_as_long_as_what_confirmed_it():
    begun = sound()
    assert (begun.speech, begun.speech_end, begun.now) == (3 * HOP, CONFIRMED, CONFIRMED)
    assert begun.mean_posterior == 1.0 and begun.above_echo == 0.0
    assert not begun.is_over and not begun.is_far_from_echo and not begun.is_echo_loud


def test_it_is_over_after_a_silence_and_speech_behind_one_counts_for_itself():
    heard = hear(hear(sound(), 0.9, 4), 0.1, 6)
    assert heard.speech == 7 * HOP and not heard.is_over
    assert hear(heard, 0.1, 1).is_over
    hear(heard, 0.8, 1)
    assert heard.speech == HOP and heard.mean_posterior == pytest.approx(0.8)


def test_silence_behind_it_does_not_make_it_less_clear():
    heard = hear(sound(), 0.9, 20)
    assert heard.is_clear and heard.goes_on
    hear(heard, 0.0, 60)
    assert heard.mean_posterior > 0.6


def test_time_passes_without_hops_and_never_backwards():
    heard = sound()
    heard.pass_time(CONFIRMED + 4000)
    heard.pass_time(CONFIRMED)
    assert heard.now == CONFIRMED + 4000 and heard.is_over


def test_our_own_level_asks_for_a_clearer_voice():
    quiet = {"level": -40.0, "echo": -40.0}
    assert hear(sound(), 0.7, 10).is_clear
    assert not hear(sound(), 0.7, 10, **quiet).is_clear
    assert hear(sound(), 0.85, 10, **quiet).is_clear
    assert not hear(sound(is_echo_likely=True), 0.85, 10, **quiet).is_clear
    assert hear(sound(), 0.85, 10, **quiet).is_echo_loud


def test_the_loudest_echo_is_remembered_after_the_agent_has_been_paused():
    heard = hear(hear(sound(), 0.9, 3, echo=-35.0), 0.9, 3)
    assert not heard.is_far_from_echo
    assert hear(sound(), 0.9, 6).is_far_from_echo


def test_of_an_agent_whose_words_are_unknown_only_a_held_voice_is_another():
    unknown = AgentSpeech()
    bursts = sound(unknown)
    for _ in range(6):
        hear(hear(bursts, 1.0, 8, echo=-50.0), 0.3, 2, echo=-50.0)
    assert bursts.may_be_anything and not bursts.is_clear and not bursts.goes_on
    assert hear(bursts, 1.0, 40, echo=-50.0).is_clear and bursts.goes_on
    # Nothing of ours comes back: then it needs no such proof.
    assert not hear(sound(unknown), 0.9, 5).may_be_anything
