"""The caller's words as they are remembered."""

import pytest

from agent.llm.correction import correct


def said(*texts):
    return [{"role": "user", "content": text} for text in texts]


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (["a fable for two"], ["a table for two"]),
        (["hello", "well. a fable for two please"], ["hello", "well. a table for two please"]),
        # The newest place is meant.
        (["a fable for two", "a fable for two"], ["a fable for two", "a table for two"]),
    ],
)
def test_the_last_place_is_put_right(before, after):
    messages = said(*before)
    assert correct(messages, "a fable for two", "a table for two")
    assert messages == said(*after)


def test_what_is_not_there_changes_nothing():
    messages = [
        {"role": "system", "content": "a fable"},
        {"role": "assistant", "content": "a fable"},
        {"role": "user", "content": [{"type": "text", "text": "a fable"}]},
        "a provider's own message: a fable",
        *said("something else"),
    ]
    kept = [dict(one) if isinstance(one, dict) else one for one in messages]
    assert not correct(messages, "a fable", "a table")
    assert messages == kept


def test_long_ago_is_left_alone():
    messages = said("a fable", "two", "three", "four")
    assert not correct(messages, "a fable", "a table")
