import pytest

from agent.asr.hypothesis import Word
from agent.audio.chunk import samples
from agent.turns.length import TYPICAL_S, length


def lasting(seconds):
    return length((Word("a", 0, 100, 1.0), Word("b", 100, samples(seconds), 1.0)))


def test_a_typical_turn_says_nothing():
    assert lasting(TYPICAL_S) == pytest.approx(0.0)


def test_what_has_just_begun_is_rarely_over():
    assert lasting(0.5) < lasting(1.0) < lasting(3.5)


def test_what_lasts_for_long_says_no_more_than_that():
    assert lasting(4.0) == lasting(40.0)


def test_words_without_times_say_nothing():
    assert length(()) == 0.0
