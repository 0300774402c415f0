import pytest

from agent.asr.hypothesis import Word
from agent.audio.chunk import samples
from agent.turns.completeness import (
    Completeness,
    completeness,
    digits_said,
    is_being_dictated,
    without_mark,
)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Completeness.EMPTY),
        ("...", Completeness.EMPTY),
        ("What time is it?", Completeness.CLOSED),
        ("Thank you.", Completeness.CLOSED),
        ("Turn it on.", Completeness.CLOSED),
        ("I think so.", Completeness.CLOSED),
        ("I would like", Completeness.OPEN),
        ("I would like a", Completeness.TRAILING),
        ("I would like a.", Completeness.TRAILING),
        ("Milk, eggs and", Completeness.TRAILING),
        ("Um.", Completeness.TRAILING),
        ("What is it for?", Completeness.CLOSED),
        ("Well…", Completeness.OPEN),
        ("4 5 6", Completeness.OPEN),
        ("I’m", Completeness.TRAILING),
    ],
)
def test_reads_the_end_of_a_text(text, expected):
    assert completeness(text) is expected


@pytest.mark.parametrize(
    ("text", "words"),
    [("Is it wet?", "Is it wet"), ("Well, I…", "Well, I"), ("No. 5", "No. 5"), ("?", "")],
)
def test_leaves_the_mark_behind_the_last_word_out(text, words):
    assert without_mark(text) == words


def test_digits_that_there_was_no_time_to_say_do_not_count():
    def word(text, lasting_s):
        return Word(text, 0, samples(lasting_s), 1.0)

    counted_on = [word("4,", 0.4), word("one", 0.3), word("2,", 0.05), word("3", 0.04)]
    assert digits_said(counted_on) == 2
    assert digits_said([word("555", 0.8), word("1212", 0.9)]) == 7
    assert digits_said([word("555", 0.3)]) == 0
    assert digits_said([word("my", 0.05), word("number", 0.05)]) == 0


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Five, five, five,", True),
        ("My number is 555", True),
        ("It is double seven one", True),
        ("What is two plus two?", False),
        ("Table for five", False),
        ("555 is what I dialled", False),
        ("", False),
    ],
)
def test_knows_a_group_of_digits_at_the_end(text, expected):
    assert is_being_dictated(text) is expected
