from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.asr.hypothesis import Hypothesis
from agent.turns.events import AgentFloor, DecisionKind, Heard, Prosody, SpeechProbability
from agent.turns.policy import SilenceTable

HOP, RATE = 512, 16_000


class Talk:
    """Drives a policy hop by hop."""

    def __init__(self):
        self.policy = SilenceTable()
        self.at = 0
        self.decisions = []

    def hops(self, probability, duration_s):
        for _ in range(round(duration_s * RATE / HOP)):
            self.at += HOP
            self.tell(SpeechProbability(self.at, probability))
        return self

    def speech(self, duration_s):
        return self.hops(0.95, duration_s)

    def silence(self, duration_s):
        return self.hops(0.02, duration_s)

    def hears(self, text):
        return self.tell(Heard(self.at, Hypothesis(1, text, (), False, 0, self.at)))

    def sounds(self, probability):
        return self.tell(Prosody(self.at, probability))

    def agent(self, is_speaking):
        return self.tell(AgentFloor(self.at, is_speaking))

    def tell(self, evidence):
        self.decisions += self.policy.push(evidence)
        return self

    def kinds(self):
        return [decision.kind.name for decision in self.decisions]

    def waited(self, kind):
        decision = next(d for d in self.decisions if d.kind is DecisionKind[kind])
        return (decision.at_sample - decision.speech_end_sample) / RATE


def test_a_quiet_line_never_ends_a_turn():
    assert Talk().silence(60).decisions == []


def test_what_reads_and_sounds_finished_is_answered_soon():
    talk = Talk().speech(1).silence(0.2).hears("What time is it?").sounds(0.9).silence(1)
    assert talk.kinds() == ["SPECULATE", "COMMIT"]
    assert 0.25 <= talk.waited("COMMIT") < 0.25 + 0.032


def test_what_only_reads_finished_waits_longer():
    talk = Talk().speech(1).silence(0.2).hears("I want a pizza.").sounds(0.1).silence(1)
    assert 0.8 <= talk.waited("COMMIT") < 0.8 + 0.032


def test_a_word_that_calls_for_another_waits_longest():
    talk = Talk().speech(1).silence(0.2).hears("I want a pizza and").sounds(0.9).silence(3)
    assert 2.4 <= talk.waited("COMMIT") < 2.4 + 0.032


def test_a_later_score_replaces_an_earlier_one():
    talk = Talk().speech(1).silence(0.2).hears("I want a pizza.").sounds(0.1).silence(0.2)
    talk.sounds(0.9).silence(0.1)
    assert talk.kinds()[-1] == "COMMIT"


def test_a_score_from_before_the_latest_speech_is_forgotten():
    talk = Talk().speech(1).silence(0.2).sounds(0.9).speech(0.5).silence(0.2)
    talk.hears("I want a pizza").silence(1)
    assert "COMMIT" not in talk.kinds()


def test_text_that_does_not_cover_the_speech_decides_nothing():
    talk = Talk().speech(0.5).hears("What time is it?").speech(1).silence(2)
    assert talk.kinds() == []


def test_a_stuck_recogniser_does_not_hold_the_turn_for_ever():
    talk = Talk().speech(0.5).hears("What time is it?").speech(1).silence(6)
    assert talk.kinds() == ["COMMIT"]


def test_speech_without_words_is_dropped():
    assert Talk().speech(0.5).silence(0.1).hears("").silence(2).kinds() == ["HOLD"]


def test_speech_after_a_speculation_withdraws_it():
    talk = Talk().speech(1).silence(0.2).hears("A table.").sounds(0.1).silence(0.2).speech(0.5)
    assert talk.kinds() == ["SPECULATE", "RESUME"]


def test_speech_over_the_agent_takes_the_floor_once():
    talk = Talk().agent(True).speech(2)
    assert talk.kinds() == ["BARGE_IN"]
    assert talk.decisions[0].at_sample / RATE < 0.24 + 0.032


def test_a_short_sound_over_the_agent_leaves_it_the_floor():
    assert Talk().agent(True).speech(0.16).silence(1).kinds() == ["BACKCHANNEL"]


def test_the_agent_holds_the_floor_from_the_moment_it_owes_an_answer():
    talk = Talk().speech(1).silence(0.2).hears("What time is it?").sounds(0.9).silence(0.5)
    talk.speech(0.13).silence(1)
    assert talk.kinds()[-1] == "BACKCHANNEL"


def test_every_decision_says_why():
    talk = Talk().speech(1).silence(0.2).hears("What time is it?").sounds(0.9).silence(1)
    commit = talk.decisions[-1]
    assert commit.reason == "reads and sounds finished"
    assert commit.evidence["prosody"] == 0.9


_PIECES = st.one_of(
    st.tuples(st.just("hops"), st.floats(0, 1), st.floats(0.03, 1.0)),
    st.tuples(st.just("hears"), st.sampled_from(["", "yes.", "I want a", "no"])),
    st.tuples(st.just("sounds"), st.floats(0, 1)),
    st.tuples(st.just("agent"), st.booleans()),
)


@settings(max_examples=200, deadline=None)
@given(st.lists(_PIECES, max_size=25))
def test_whatever_happens_a_turn_is_decided_within_five_seconds_of_silence(pieces):
    talk = Talk()
    for name, *arguments in pieces:
        getattr(talk, name)(*arguments)
    talk.silence(5)
    before = len(talk.decisions)
    talk.silence(5)
    assert len(talk.decisions) == before
    kinds = talk.kinds()
    # A second SPECULATE without a RESUME between only replaces the first.
    assert all(a != "RESUME" or b != "RESUME" for a, b in pairwise(kinds))
