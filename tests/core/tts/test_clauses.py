"""Clauses: short first, never through a name or a number, the same for every chunking."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.tts.clauses import LATER, ClauseSplitter

ANSWERS = [
    "Sure. I can help with that.",
    "Sure, I can help you with that booking on Friday afternoon, if you like.",
    "No. We close at 5 p.m. on Fridays. Dr. Smith charges $3.50, e.g. for the U.S. market.",
    "**Bold** text:\n\n1. First item\n2. Second *item*\n- bullet 😀\n```python\nx = 1\n```\nDone!",
    "Meet J. K. Rowling at 7:30 pm on Jan. 5, 2024 and bring the book that she wrote.",
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen " * 6,
    "It is — well, I think... maybe?! Yes; no: perhaps.",
    "",
    "   ",
    "!!!",
    "😀 🎉",
    "42",
    "x" * 5000,
    "東京は日本の首都です。人口は多いです。",
]


def split(text: str, size: int = 0) -> list[str]:
    splitter = ClauseSplitter()
    deltas = [text[i : i + size] for i in range(0, len(text), size)] if size else [text]
    return [clause for delta in deltas for clause in splitter.push(delta)] + splitter.finish()


@pytest.mark.parametrize("text", ANSWERS)
@pytest.mark.parametrize("size", [1, 3, 17, 512])
def test_every_chunking_gives_the_same_clauses(text: str, size: int):
    assert split(text, size) == split(text)


@given(st.text(alphabet="ab .,!?\n*`#-_1$[]()😀é\"'", max_size=80), st.integers(1, 9))
def test_every_chunking_of_any_text_gives_the_same_clauses(text: str, size: int):
    assert split(text, size) == split(text)


@given(st.lists(st.sampled_from("yes, no. Dr. 3.50 the and booking e.g. well! U.S.".split())))
def test_clauses_hold_every_word_in_order(words: list[str]):
    assert " ".join(split(" ".join(words))).split() == words


@pytest.mark.parametrize(
    ("text", "first"),
    [
        ("Sure. I can help.", "Sure."),
        ("No. We are closed.", "No."),
        ("Of course, I can help you with that.", "Of course,"),
        ("Sure, I can help you with your booking.", "Sure, I can help you"),
        ("The booking office opens early every day for members.", "The booking office opens early"),
        ("8. That is how many legs it has.", "8."),
        ('"Yes." That is what she said.', '"Yes."'),
    ],
)
def test_first_clause_is_short(text: str, first: str):
    assert split(text)[0].startswith(first)
    assert len(split(text)[0].split()) <= 7


def test_first_clause_is_given_before_the_answer_is_complete():
    splitter = ClauseSplitter()
    assert splitter.push("Of course, I") == ["Of course,"]


@pytest.mark.parametrize(
    "together",
    [
        "Dr. Smith",
        "3.50",
        "e.g. apples",
        "the U.S. market",
        "J. K. Rowling",
        "7:30 pm",
        "in room No. 5",
    ],
)
def test_never_splits_inside(together: str):
    for padding in range(12):
        text = " ".join([*["word"] * padding, together, "and", "so", "it", "went", "on."])
        tight = together.removeprefix("in room ")
        assert any(tight in clause for clause in split(text)), padding


def test_sentences_end_clauses_and_clauses_are_bounded():
    clauses = split(
        "One thing is sure. " + "and then we talked about it again " * 20 + ". Bye now."
    )
    assert clauses[0] == "One thing is sure."
    assert clauses[-1].endswith("Bye now.")
    assert max(len(clause.split()) for clause in clauses) <= LATER.hard + 2


def test_abbreviation_before_a_capital_ends_the_sentence():
    assert split("He works at Acme Inc. They like it there.") == [
        "He works at Acme Inc.",
        "They like it there.",
    ]


def test_lines_end_clauses():
    assert split("Milk\nEggs\nBread") == ["Milk", "Eggs", "Bread"]


def test_nothing_to_say_gives_no_clause():
    for text in ("", "   ", "!!!", "😀 🎉", "---\n***", "```\n```"):
        assert split(text) == []


def test_a_finished_splitter_is_as_new():
    splitter = ClauseSplitter()
    splitter.push("Something long that was cut off in the middle, and")
    splitter.finish()
    assert splitter.push("Of course, I") == ["Of course,"]
