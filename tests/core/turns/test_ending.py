import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.asr.hypothesis import Hypothesis, Word
from agent.audio.chunk import samples
from agent.turns.ending import Context, EndOfTurn, Profile, asks_yes_or_no


def judge(text="I would like a coffee with milk and sugar", voice=None, spoken_s=None, **context):
    ending = EndOfTurn()
    ending.begin(Context(**context))
    words = (Word(text, 0, samples(spoken_s), 1.0),) if spoken_s else ()
    ending.heard(Hypothesis(1, text, words, False, 0, 1))
    if voice is not None:
        ending.sounded(voice)
    return ending


def test_the_terms_sum_to_the_log_odds():
    judgement = judge(voice=0.9).judge(0.7)
    assert sum(judgement.terms.values()) == pytest.approx(judgement.log_odds)
    odds = judgement.probability / (1 - judgement.probability)
    assert math.log(odds) == pytest.approx(judgement.log_odds)


def test_each_kind_of_evidence_moves_the_sum():
    whole = judge(voice=0.9).judge(0.5).log_odds
    assert judge("I would like a coffee with", voice=0.9).judge(0.5).log_odds < whole
    assert judge(voice=0.1).judge(0.5).log_odds < whole
    assert judge(voice=0.9).judge(0.3).log_odds < whole
    assert judge(voice=0.9, spoken_s=0.5).judge(0.5).log_odds < whole


def test_what_the_language_model_makes_of_the_words_moves_the_sum():
    def read(chance):
        ending = judge("What do bees make?", voice=0.5)
        ending.read("What do bees make", chance)
        return ending.judge(0.3)

    assert read(0.01).log_odds < read(0.6).log_odds < read(0.97).log_odds
    assert read(0.0).log_odds == read(1e-9).log_odds > -20
    assert sum(read(0.6).terms.values()) == pytest.approx(read(0.6).log_odds)


def test_only_of_the_words_that_are_the_latest():
    ending = judge("What do bees?", voice=0.5)
    ending.read("What do", 0.0)
    assert ending.judge(0.3).log_odds == judge("What do bees?", voice=0.5).judge(0.3).log_odds
    ending.read("What do bees", 0.0)
    known = ending.judge(0.3)
    ending.heard(Hypothesis(1, "What do bees.", (), False, 0, 1))
    assert ending.judge(0.3).terms["language"] == known.terms["language"] < 0.0
    ending.heard(Hypothesis(1, "What do bees make?", (), False, 0, 1))
    assert ending.judge(0.3).terms["language"] == 0.0


def test_of_an_answer_the_language_model_says_nothing():
    ending = judge("Seven.", agent_text="What time would you like?")
    before = ending.judge(0.3)
    ending.read("Seven", 0.03)
    assert ending.judge(0.3) == before


def test_nor_of_a_number_that_is_being_dictated():
    ending = judge("My number is 5 5 5.")
    before = ending.judge(0.3)
    ending.read("My number is 5 5 5", 0.9)
    assert ending.judge(0.3) == before


def test_the_lowest_score_of_a_silence_counts():
    ending = judge(voice=0.1)
    before = ending.judge(0.3).log_odds
    ending.sounded(0.99)
    assert ending.judge(0.3).log_odds == before


def test_what_will_be_answered_soon_whatever_it_sounds_like_is_prepared():
    ending = judge("What do bees make?", voice=0.001)
    latest_s = ending.judge(0.1).commit_at_s
    before, nearly = ending.judge(latest_s - 0.6), ending.judge(latest_s - 0.4)
    assert nearly.log_odds < nearly.speculate
    assert (before.speculates, nearly.speculates) == (False, True)
    assert (nearly.commits, ending.judge(latest_s).commits) == (False, True)


def test_scores_are_forgotten_when_speech_goes_on():
    ending = judge()
    ending.sounded(0.99)
    ending.resumed(0.5)
    assert ending.judge(0.1).terms["voice"] == judge().judge(0.1).terms["voice"]


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from(["Yes", "I want", "Turn on the", "What time is it?", ""]),
    st.one_of(st.none(), st.floats(0.0, 1.0)),
    st.sampled_from(list(Profile)),
)
def test_commit_comes_exactly_when_it_was_said_to(text, voice, profile):
    ending = judge(text, voice, profile=profile)
    at_s = ending.judge(0.1).commit_at_s
    assert ending.judge(at_s + 1e-6).commits
    if at_s > 0.2:
        assert not ending.judge(at_s - 1e-6).commits


@settings(max_examples=60, deadline=None)
@given(st.floats(0.0, 0.49), st.floats(0.0, 1.0), st.sampled_from(["Yes", "I want to", "Call me"]))
def test_a_score_that_is_not_wanted_cannot_delay_or_hasten_the_end(silence_s, score, text):
    ending = judge(text)
    if ending.wants_prosody(silence_s):
        return
    before = ending.judge(silence_s)
    ending.sounded(score)
    assert ending.judge(silence_s).commits == before.commits


def test_scores_are_wanted_only_while_they_say_something():
    assert judge().wants_prosody(0.1)
    assert not judge().wants_prosody(0.6)


def test_a_cut_off_costs_what_the_dialogue_says():
    assert Context(agent_text="Milk?").cost_s == 5.0
    assert Context(agent_text="Good. Would you like milk?").cost_s == 2.0
    assert Context(Profile.CONTINUOUS).cost_s == 10.0
    assert Context(Profile.CONTINUOUS, cut_off_cost_s=1.0).cost_s == 1.0
    cheap, dear = judge(cut_off_cost_s=1.0).judge(0.5), judge(cut_off_cost_s=20.0).judge(0.5)
    assert cheap.commit_at_s < dear.commit_at_s


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Is that right?", True),
        ("Thanks. So, do you want sugar?", True),
        ("Do you want tea or coffee?", False),
        ("Where do you live?", False),
        ("Do that.", False),
        ("?", False),
        ("", False),
    ],
)
def test_tells_a_question_for_yes_or_no(text, expected):
    assert asks_yes_or_no(text) is expected


def test_an_answer_may_be_short():
    asked = judge("Manchester", agent_text="Where do you live?").judge(0.3)
    assert asked.log_odds > judge("Manchester").judge(0.3).log_odds


def test_how_long_an_answer_lasts_says_nothing():
    def term(agent_text):
        ending = judge("Manchester.", spoken_s=0.5, agent_text=agent_text)
        return ending.judge(0.3).terms["length"]

    assert term("Where do you live?") == 0.0
    assert term("Hello! How can I help you?") < 0.0
    assert term("") < 0.0
    question = judge("Where do you live?", spoken_s=0.9)
    assert question.judge(0.3).terms["length"] == 0.0


def test_who_asks_a_whole_question_does_not_wait():
    unsure = judge("How many days are in a week?", voice=0.05, spoken_s=1.0)
    assert unsure.judge(0.3).commit_at_s <= 0.6
    dictated = judge("How many days are in a week?", voice=0.05, profile=Profile.CONTINUOUS)
    assert dictated.judge(0.3).commit_at_s > 0.6


def test_nor_who_asks_what_the_language_model_takes_for_whole():
    unsure = judge("What do blorbs make?", voice=0.01)
    assert unsure.judge(0.1).commit_at_s > 0.6
    unsure.read("What do blorbs make", 0.7)
    assert unsure.judge(0.1).commit_at_s <= 0.6


def test_a_word_that_calls_for_another_is_waited_for():
    broken = judge("I would like to book a table for.", voice=0.99, spoken_s=2.0)
    # However finished the voice sounds.
    assert broken.judge(0.3).commit_at_s > 0.9


def test_no_turn_ends_before_an_answer_could_be_heard():
    sure = judge("What is the weather like in London today?", voice=0.99, spoken_s=3.0)
    assert sure.judge(0.2).speculates
    assert not sure.judge(0.2).commits
    assert sure.judge(0.31).commits


def test_digits_asked_for_are_counted():
    def context_term(text, digits):
        return judge(text, profile=Profile.CONTINUOUS, digits=digits).judge(0.5).terms["context"]

    assert context_term("five five five", 7) < 0 < context_term("555 1212", 7)
    assert context_term("555 1212 9", 7) == 0.0  # miscounted
    assert context_term("my number", 7) == 0.0
    assert context_term("555", None) == 0.0


def test_a_slow_caller_is_waited_for():
    slow, ending = judge(voice=0.5), judge(voice=0.5)
    for _ in range(10):
        slow.resumed(1.5)
    slow.sounded(0.5)
    assert slow.judge(0.1).commit_at_s > ending.judge(0.1).commit_at_s


def test_a_call_of_any_evidence_never_fails():
    for score in (float("-inf"), -1.0, 0.0, 1.0, 2.0):
        assert math.isfinite(judge(voice=score).judge(1e6).log_odds)
