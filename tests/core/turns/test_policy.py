import pytest

from agent.turns.events import (
    DecisionKind,
    EndRequested,
    Expectation,
    TurnLost,
)
from agent.turns.floor import TABLE, Floor, Signal
from agent.turns.hotwords import HotwordSettings
from tests.core.turns.talk import RATE, Talk

# The end of a turn.


def test_a_quiet_line_never_ends_a_turn():
    assert Talk().silence(60).decisions == []


def test_a_turn_is_prepared_before_it_is_answered():
    talk = Talk().speech(1).silence(0.13).hears("What time is it?").silence(0.05)
    talk.sounds(0.95).silence(1)
    assert talk.kinds() == ["SPECULATE", "COMMIT"]
    assert talk.waited("SPECULATE") < talk.waited("COMMIT") < 0.4


def test_the_more_speaks_against_an_end_the_longer_it_waits():
    def waited(text, voice):
        return Talk().speech(1).silence(0.13).hears(text).sounds(voice).silence(5).waited("COMMIT")

    finished, unsure, trailing = (
        waited("I want a pizza.", 0.95),
        waited("I want a pizza", 0.5),
        waited("I want a pizza and", 0.05),
    )
    assert finished < unsure < trailing


def test_a_partial_that_has_just_changed_is_given_time_unless_it_covers_the_silence_too():
    def waited_after(until):
        talk = Talk().speech(1).silence(0.5)
        heard_at = talk.at
        talk.hears("What time is it?", until=until(talk)).sounds(0.99).silence(1)
        commit = next(d for d in talk.decisions if d.kind is DecisionKind.COMMIT)
        return (commit.at_sample - heard_at) / RATE

    assert waited_after(lambda talk: talk.policy._hearing.silent_since) >= 0.12
    assert waited_after(lambda talk: talk.at) < 0.12


def test_sound_that_may_be_speech_vetoes_the_end():
    talk = Talk().speech(1).hops(0.3, 0.13).hears("What time is it?").sounds(0.99).hops(0.3, 1)
    assert "COMMIT" not in talk.kinds()


def test_a_score_from_before_the_latest_speech_is_forgotten():
    talk = Talk().speech(1).silence(0.2).sounds(0.99).speech(0.5).silence(0.2)
    talk.hears("I want a pizza").silence(0.3)
    assert "COMMIT" not in talk.kinds()


def test_text_that_does_not_cover_the_speech_decides_nothing():
    talk = Talk().speech(0.5).hears("What time is it?").speech(1).silence(2)
    assert talk.kinds() == []


def test_a_stuck_recogniser_does_not_hold_the_turn_for_ever():
    talk = Talk().speech(0.5).hears("What time is it?").speech(1).silence(6)
    assert talk.kinds() == ["COMMIT"]


def test_speech_without_words_is_dropped():
    assert Talk().speech(0.5).silence(0.1).hears("").silence(2).kinds() == ["HOLD"]


def test_noise_that_sounds_like_speech_for_ever_is_dropped_again_and_again():
    talk = Talk().speech(16)
    assert talk.kinds() == ["HOLD"] * 3


def test_words_in_endless_noise_are_answered():
    talk = Talk().speech(1).hears("What time is it?").speech(6)
    assert talk.kinds()[0] == "COMMIT"


def test_speech_after_a_speculation_withdraws_it():
    talk = Talk().speech(1).silence(0.2).hears("A table.").sounds(0.6).silence(0.2).speech(0.5)
    assert talk.kinds() == ["SPECULATE", "RESUME"]


def test_what_was_under_way_when_a_turn_ended_is_not_the_next_turns():
    talk = Talk().speech(1).silence(0.13).hears("What time is it?").sounds(0.95).silence(1)
    talk.utterance = 1
    talk.hears("What time is it?").agent(True).agent(False)
    talk.utterance = 2
    assert talk.speech(0.5).silence(0.1).hears("").silence(1).kinds()[-1] == "HOLD"


def test_digits_asked_for_are_waited_for():
    talk = Talk()
    talk.tell(Expectation(0, "continuous", 7)).speech(1).silence(0.13)
    talk.hears("five five five").sounds(0.9).silence(1.5)
    assert "COMMIT" not in talk.kinds()
    talk.speech(1).silence(0.13).hears("five five five, one two one two").sounds(0.9).silence(1)
    assert talk.kinds()[-1] == "COMMIT"


def test_letting_the_button_go_ends_the_turn_once_its_words_are_known():
    talk = Talk().speech(1).tell(EndRequested(16_000)).silence(0.3)
    assert talk.kinds() == []
    talk.hears("I want a pizza and").silence(0.1)
    assert talk.kinds() == ["COMMIT"]
    assert Talk().tell(EndRequested(0)).silence(2).kinds() == []


def test_every_decision_says_why():
    talk = Talk().speech(1).silence(0.13).hears("What time is it?").sounds(0.95).silence(1)
    commit = talk.decisions[-1]
    assert "0.9" in commit.reason
    parts = {"prior", "bias", "words", "voice", "context", "pause"}
    assert parts | {"log_odds", "commit_at", "silence_s"} <= set(commit.evidence)
    total = sum(commit.evidence[part] for part in parts)
    assert abs(total - commit.evidence["log_odds"]) < 0.03


# The ladder.


def test_a_sound_over_the_agent_only_ducks_it():
    talk = Talk().agent(True).hops(0.6, 0.064).silence(1)
    assert talk.kinds() == ["DUCK", "RESUME"]


def test_a_cough_over_the_agent_costs_nothing():
    talk = Talk().agent(True, unsaid="the moon is far").speech(0.26).silence(0.1).hears("")
    talk.silence(1)
    assert talk.kinds() == ["DUCK", "PAUSE", "RESUME", "BACKCHANNEL"]
    assert talk.policy.floor is Floor.AGENT


def test_a_nod_leaves_the_agent_the_floor():
    talk = Talk().agent(True, said="the moon is").speech(0.3).silence(0.1).hears("Yeah.").silence(1)
    assert talk.kinds()[-1] == "BACKCHANNEL"


def test_the_same_word_answers_a_question():
    talk = Talk().agent(True, said="Shall I book it?").speech(0.3).silence(0.1).hears("Yeah.")
    assert talk.kinds() == ["DUCK", "PAUSE", "BARGE_IN"]


def test_words_take_the_floor_and_are_answered():
    talk = Talk().agent(True, unsaid="the moon is far").speech(0.5).hears("no the car")
    assert talk.kinds() == ["DUCK", "PAUSE", "BARGE_IN"]
    talk.agent(False).speech(0.3).silence(0.13).hears("no, the car.").sounds(0.95).silence(1)
    assert talk.kinds()[-1] == "COMMIT"


def test_long_speech_takes_the_floor_without_words():
    talk = Talk().agent(True).speech(1)
    assert talk.kinds() == ["DUCK", "PAUSE", "BARGE_IN"]
    assert talk.decisions[-1].at_sample / RATE < 0.7


def test_the_agent_holds_the_floor_from_the_moment_it_owes_an_answer():
    talk = Talk().speech(1).silence(0.13).hears("What time is it?").sounds(0.95).silence(0.5)
    talk.speech(0.13).silence(0.1).hears("").silence(1)
    assert talk.kinds()[-1] == "BACKCHANNEL"


def test_what_is_said_over_the_agents_last_word_is_the_next_turn():
    talk = Talk().agent(True, said="Goodbye").speech(0.4).agent(False).speech(0.4)
    talk.silence(0.13).hears("One more thing.").sounds(0.95).silence(1)
    assert talk.kinds()[-1] == "COMMIT"


@pytest.mark.parametrize("over_s", [0.06, 0.2])
def test_a_nod_over_the_agents_last_word_is_no_turn(over_s):
    def outcome(said, text):
        talk = Talk().agent(True, said=said).speech(over_s).agent(False, said=said).speech(0.2)
        return talk.silence(0.13).hears(text).sounds(0.95).silence(2)

    nod = outcome("It is on your left.", "Mhm.")
    assert nod.kinds()[-1] == "HOLD" and "nod" in nod.decisions[-1].reason
    assert "SPECULATE" not in nod.kinds()
    assert nod.policy.floor is Floor.OPEN
    assert outcome("Is it on your left?", "Mhm.").kinds()[-1] == "COMMIT"
    assert outcome("It is on your left.", "Okay, and then?").kinds()[-1] == "COMMIT"


def test_what_is_said_once_the_agent_is_silent_is_a_turn():
    talk = Talk().agent(True, said="It is on your left.").agent(False, said="It is on your left.")
    talk.silence(0.2).speech(0.4).silence(0.13).hears("Okay.").sounds(0.95).silence(2)
    assert talk.kinds()[-1] == "COMMIT"


def test_a_turn_that_came_to_nothing_gives_the_floor_back():
    talk = Talk().speech(1).silence(0.13).hears("What time is it?").sounds(0.95).silence(0.5)
    talk.tell(TurnLost(talk.at))
    assert talk.policy.floor is Floor.OPEN


def test_an_answer_that_comes_while_the_user_speaks_waits():
    talk = Talk().speech(1).agent(True)
    assert talk.kinds() == ["PAUSE"]
    talk.hears("and another thing").speech(0.2)
    assert talk.kinds()[-1] == "BARGE_IN"


# Words that act by themselves.


def test_stop_silences_and_is_not_answered():
    talk = Talk().agent(True, unsaid="the moon is far").speech(0.3).silence(0.1).hears("Stop.")
    assert talk.kinds()[-1] == "BARGE_IN"
    talk.agent(False).sounds(0.95).silence(1)
    assert talk.kinds()[-1] == "HOLD"
    assert "stop" in talk.decisions[-1].reason
    assert talk.policy.floor is Floor.OPEN


def test_wait_holds_the_agent_until_it_is_told_to_go_on():
    talk = Talk().agent(True, unsaid="the moon is far").speech(0.3).silence(0.1).hears("Wait.")
    talk.silence(10)
    assert talk.kinds() == ["DUCK", "PAUSE", "HOLD"]
    assert talk.policy.floor is Floor.WAITING
    talk.speech(0.5).silence(0.1).hears("Go on.").silence(1)
    assert talk.kinds()[3:] == ["RESUME", "BACKCHANNEL"]
    assert talk.policy.floor is Floor.AGENT


def test_half_of_hold_on_does_not_cut_the_agent():
    talk = Talk().agent(True, unsaid="the moon is far").speech(0.3).hears("hold").speech(0.2)
    talk.silence(0.1).hears("hold on.").silence(1)
    assert talk.kinds() == ["DUCK", "PAUSE", "HOLD"]


@pytest.mark.parametrize("times, is_cut", [(2, True), (3, False)])
def test_what_was_our_own_voice_again_and_again_is_more_likely_so_once_more(times, is_cut):
    talk = Talk().agent(True, "the moon", "is far").silence(0.3)
    for _ in range(times):
        talk.hops(0.9, 0.3, echo=-10.0).silence(0.4).hears("").silence(0.4)
    talk.hops(0.9, 0.3, echo=-10.0).hears("book tomorrow")
    assert talk.kinds().count("BACKCHANNEL") == times
    assert ("BARGE_IN" in talk.kinds()) is is_cut


def test_half_a_word_says_that_it_is_no_hotword():
    def speaks(half):
        talk = Talk().agent(True, unsaid="the moon is far").speech(0.3)
        return talk.hears("give me a", half=half).speech(0.1)

    assert "BARGE_IN" not in speaks("").kinds()
    assert "BARGE_IN" not in speaks("second").kinds()
    assert "BARGE_IN" in speaks("medium").kinds()


def test_words_that_come_late_still_take_the_floor():
    talk = Talk().agent(True, unsaid="the moon is far")
    # As loud as our own echo would be, and not read yet.
    talk.hops(0.95, 1.2, echo=-20.0).silence(1.0)
    assert talk.kinds() == ["DUCK", "PAUSE", "RESUME"]
    assert talk.hears("no I meant the sun").kinds()[-1] == "BARGE_IN"


def test_wait_is_not_all_that_was_said_while_words_are_missing():
    talk = Talk().agent(True, unsaid="the moon is far").speech(0.3).hears("wait")
    talk.speech(0.5).silence(1.0)
    assert talk.kinds() == ["DUCK", "PAUSE"]
    assert talk.hears("wait I meant the sun").kinds()[-1] == "BARGE_IN"


def test_words_that_never_come_are_not_waited_for():
    talk = Talk().agent(True, unsaid="the moon is far").hops(0.95, 1.2, echo=-20.0).silence(4.2)
    assert talk.kinds() == ["DUCK", "PAUSE", "RESUME", "BACKCHANNEL"]


def test_wait_with_something_behind_it_takes_the_floor():
    talk = Talk().agent(True, unsaid="the moon is far").speech(0.9).hears("wait I meant the sun")
    assert talk.kinds()[-1] == "BARGE_IN"


def test_wait_at_the_end_keeps_a_turn_open():
    talk = Talk().speech(1).silence(0.13).hears("I want a pizza. Wait.").sounds(0.95).silence(2)
    assert "COMMIT" not in talk.kinds()


def test_repeat_asks_for_the_last_utterance():
    talk = Talk().speech(0.6).silence(0.13).hears("Say that again.").sounds(0.95).silence(1)
    assert talk.kinds() == ["REPEAT"]


def test_im_done_ends_a_dictation_at_once():
    talk = Talk().tell(Expectation(0, "continuous")).speech(3).silence(0.13)
    talk.hears("Buy milk and eggs. I'm done.").silence(1)
    assert talk.kinds()[-1] == "COMMIT"
    assert talk.waited("COMMIT") < 0.5


def test_a_wake_phrase_begins_a_new_turn():
    talk = Talk(hotwords=HotwordSettings(wake_phrases=("hey duplex",)), wake_required=True)
    talk.speech(2).silence(0.13).hears("he said that. Hey duplex, what time is it?")
    talk.sounds(0.95).silence(1)
    commit = talk.decisions[-1]
    assert commit.kind is DecisionKind.COMMIT
    assert commit.words_from > 0


def test_without_its_wake_phrase_nothing_is_answered():
    talk = Talk(hotwords=HotwordSettings(wake_phrases=("hey duplex",)), wake_required=True)
    talk.silence(1).speech(2).silence(0.13).hears("What time is it?").sounds(0.95).silence(1)
    assert talk.kinds()[-1] == "HOLD"


# Never stuck.


def test_the_floor_has_a_rule_for_everything():
    assert set(TABLE) == {(floor, signal) for floor in Floor for signal in Signal}


def test_an_agent_that_never_speaks_loses_the_floor():
    talk = Talk().speech(1).silence(0.13).hears("What time is it?").sounds(0.95).silence(40)
    assert talk.policy.floor is Floor.OPEN
