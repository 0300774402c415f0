import pytest

from agent.asr.repetition import loop_start


def test_a_phrase_said_over_and_over_is_kept_once():
    tokens = [7, 8, *[1, 2, 3, 4] * 3]
    assert tokens[: loop_start(tokens)] == [7, 8, 1, 2, 3, 4]


def test_one_word_over_and_over_is_kept_once():
    tokens = [5, *[9] * 12]
    assert tokens[: loop_start(tokens)] == [5, 9]


@pytest.mark.parametrize(
    "tokens",
    [
        [],
        [1],
        [9] * 8,  # "zero zero zero zero" in two tokens each
        [1, 2] * 4,  # "no, no, no, no"
        [1, 2, 3, 4, 5] * 2,  # said twice
        [1, 2, 3, 4] * 3 + [5],  # went on
        list(range(100)),
    ],
)
def test_what_people_say_is_no_loop(tokens):
    assert loop_start(tokens) is None


def test_the_loop_is_found_at_the_token_that_makes_it_one():
    tokens = [7, *[1, 2, 3, 4, 5] * 3]
    assert [end for end in range(len(tokens) + 1) if loop_start(tokens[:end])] == [len(tokens)]


def test_the_longest_block_is_looked_for_and_no_longer():
    assert loop_start(list(range(12)) * 3) == 12
    assert loop_start(list(range(13)) * 3) is None
