import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.turns.boundary import boundary, tokens


@pytest.mark.parametrize(
    ("whole", "broken"),
    [
        ("what is the weather like in london", "what is the weather like in"),
        ("set an alarm for seven", "set an alarm for"),
        ("can you tell me a joke", "can you tell me a"),
        (
            "I want to transfer 50 dollars to my savings account",
            "I want to transfer 50 dollars to my",
        ),
    ],
)
def test_a_broken_request_reads_less_finished(whole, broken):
    assert boundary(whole) > boundary(broken) + 1.0


def test_an_answer_is_shorter_than_a_request():
    assert boundary("for two", is_answer=True) > boundary("for two") + 1.0


def test_punctuation_and_case_do_not_matter():
    assert boundary("Tell me a joke.") == boundary("tell me a JOKE,")


def test_reads_typographic_apostrophes_and_numbers():
    assert tokens("I’d like 12, please!") == ["i'd", "like", "0", "please"]


@given(st.text(max_size=60))
def test_reads_anything(text):
    assert -30.0 < boundary(text) < 30.0
