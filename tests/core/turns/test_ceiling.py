import math

import pytest

from agent.turns.ceiling import (
    CLOSED_AT_MOST_S,
    FINISHED_AT_MOST_S,
    LIKELY_FINISHED,
    QUESTION_AT_MOST_S,
    READS_FINISHED,
    at_most_s,
    is_question,
)


@pytest.mark.parametrize(
    ("text", "score", "expected"),
    [
        ("What do bees make?", 0.0, QUESTION_AT_MOST_S),
        ("And where do penguins live?", 0.0, QUESTION_AT_MOST_S),
        ("What kind?", 0.0, FINISHED_AT_MOST_S),
        ("What do blorbs make?", -4.0, FINISHED_AT_MOST_S),
        ("What will the", 0.0, math.inf),
        ("Can I get a small mocha?", 0.0, FINISHED_AT_MOST_S),
        ("Get me a latte.", 0.0, FINISHED_AT_MOST_S),
        ("Get me.", -4.0, CLOSED_AT_MOST_S),
        ("Hello!", -4.0, QUESTION_AT_MOST_S),
        ("I want to", 3.0, math.inf),
        ("", 3.0, math.inf),
    ],
)
def test_what_reads_finished_is_not_waited_for(text, score, expected):
    assert at_most_s(text, score) == expected


def test_the_language_model_may_know_that_the_last_words_can_be_the_last():
    question, order = "What do blorbs make?", "Get me."
    assert at_most_s(question, -4.0, 0.49) == at_most_s(question, -4.0) == FINISHED_AT_MOST_S
    assert at_most_s(question, -4.0, LIKELY_FINISHED) == QUESTION_AT_MOST_S
    assert at_most_s(order, -4.0, 0.9) == FINISHED_AT_MOST_S
    assert at_most_s(question, 0.0, 0.0) == QUESTION_AT_MOST_S
    assert at_most_s("What will the", 0.0, 1.0) == math.inf


def test_it_knows_an_end_also_where_the_recogniser_puts_no_mark():
    assert at_most_s("Is water wet", 0.0, 0.9) == QUESTION_AT_MOST_S
    assert at_most_s("Get me a latte", 0.0, 0.9) == FINISHED_AT_MOST_S
    assert at_most_s("Is water wet", 0.0, 0.1) == at_most_s("Is water wet", 0.0) == math.inf


def test_the_last_words_must_be_able_to_be_the_last():
    assert at_most_s("Get me a latte.", READS_FINISHED) == FINISHED_AT_MOST_S
    assert at_most_s("Get me a latte.", READS_FINISHED - 0.1) == CLOSED_AT_MOST_S


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("What do bees make?", True),
        ("Okay, and where is it?", True),
        ("Who?", False),
        ("Is water wet.", True),
        ("Is it.", False),
        ("Do it again.", False),
        ("Have a look at that.", False),
        ("Will needs a chair.", False),
        ("Can I get a latte?", False),
        ("What a day.", False),
        ("", False),
    ],
)
def test_tells_a_question_from_an_order(text, expected):
    assert is_question(text) is expected
