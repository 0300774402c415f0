import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.turns.sounds import alike, distance, sound, tokens


@pytest.mark.parametrize(
    ("one", "other"),
    [("jarvis", "jervis"), ("nabu", "naboo"), ("duplex", "dupleks"), ("knight", "nite")],
)
def test_spellings_of_one_sound_are_alike(one, other):
    assert alike(sound(one), sound(other)) >= 0.75


@pytest.mark.parametrize(("one", "other"), [("stop", "shop"), ("can", "an"), ("me", "mm")])
def test_short_words_that_differ_are_not(one, other):
    assert alike(sound(one), sound(other)) == 0.0


def test_tokens_are_words_without_punctuation():
    assert tokens("I’m done, 2 of them.") == ["i'm", "done", "2", "of", "them"]


@settings(max_examples=50, deadline=None)
@given(st.text(max_size=8), st.text(max_size=8))
def test_distance_is_a_metric(one, other):
    assert distance(one, other) == distance(other, one)
    assert abs(len(one) - len(other)) <= distance(one, other) <= max(len(one), len(other))
    assert (distance(one, other) == 0) == (one == other)
    assert alike(sound(one), sound(one)) == 1.0


def test_one_word_written_in_two_ways_is_one_word():
    assert tokens("OK computer") == tokens("Okay, computer!")
