"""Numbers that a recogniser goes on counting by itself."""

import pytest

from agent.asr.counting import counted_on
from agent.asr.hypothesis import Word


def words(*said: tuple[str, float]) -> list[Word]:
    """Words one behind the other, each with its seconds; without a text a pause."""
    at, made = 0.0, []
    for text, lasting_s in said:
        if text:
            made.append(Word(text, round(at * 16_000), round((at + lasting_s) * 16_000), 0.9))
        at += lasting_s
    return made


@pytest.mark.parametrize(
    ("said", "dropped"),
    [
        # As base read digits of three people, cut off behind the last one.
        ([("8,", 0.39), ("9,", 0.41), ("10", 0.04)], 1),
        ([("5,", 0.5), ("6,", 0.57), ("7,", 0.07), ("8", 0.04)], 2),
        ([("3,", 0.37), ("4,", 0.33), ("5,", 0.31), ("6,", 0.07), ("7,", 0.07), ("9,", 0.04)], 3),
        ([("three,", 0.5), ("four,", 0.11), ("five,", 0.07), ("six,", 0.07), ("one", 0.03)], 3),
        # The last one that was said got few frames itself.
        (
            [
                *[("4,", 0.32), ("5,", 0.67), ("6,", 0.23), ("", 0.55)],
                *[("7,", 0.05), ("7,", 0.07), ("8,", 0.07), ("9,", 0.07), ("10,", 0.09)],
            ],
            4,
        ),
        # With nothing before it to go by.
        ([("7,", 0.4), ("8,", 0.05), ("9,", 0.05), ("10,", 0.05), ("11", 0.05)], 4),
    ],
)
def test_numbers_without_sound_of_their_own_are_dropped(
    said: list[tuple[str, float]], dropped: int
) -> None:
    assert counted_on(words(*said)) == dropped


@pytest.mark.parametrize(
    "said",
    [
        [],
        [("10", 0.04)],
        [("7,", 0.4), ("8,", 0.11)],
        # Whoever says everything fast.
        [("5,", 0.15), ("6,", 0.14), ("7,", 0.15), ("8,", 0.09)],
        # Behind a pause there was time for it.
        [("5,", 0.5), ("6,", 0.5), ("7,", 0.4), ("", 0.5), ("8,", 0.09)],
        # Not what comes next in counting.
        [("7,", 0.4), ("9,", 0.05)],
        [("room", 0.3), ("8", 0.05)],
        [("8,", 0.4), ("please", 0.05)],
        # Only the end is in question.
        [("7,", 0.4), ("8,", 0.05), ("please", 0.3)],
        [("one", 0.3), ("two", 0.05), ("three", 0.3)],
    ],
)
def test_what_was_said_stays(said: list[tuple[str, float]]) -> None:
    assert counted_on(words(*said)) == 0
