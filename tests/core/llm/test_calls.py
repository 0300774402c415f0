import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.llm.calls import CallReader, WrittenCall, as_notes

BOOK = '{"name": "book", "arguments": {"guests": 4}}'
CALL = WrittenCall("book", {"guests": 4})


def read(text, size=3):
    reader = CallReader(["book", "look"])
    spoken = "".join(reader.push(text[i : i + size]) for i in range(0, len(text), size))
    return spoken, reader.finish()


@pytest.mark.parametrize("size", [1, 7, 1000])
@pytest.mark.parametrize(
    ("text", "spoken", "calls"),
    [
        ("Paris is the capital.", "Paris is the capital.", []),
        (BOOK, "", [CALL]),
        (f"```json\n{BOOK}\n```", "", [CALL]),
        (f"<tool_call>\n{BOOK}\n</tool_call>", "", [CALL]),
        (f"Sure. {BOOK}", "Sure. ", [CALL]),
        (f"{BOOK}\n{BOOK}", "", [CALL]),
        (f'{BOOK}{{"name": "look"}}', "", [CALL, WrittenCall("look", {})]),
        ('{"name": "book", "parameters": {"guests": 4}}', "", [CALL]),
        ('{"name": "fly", "arguments": {}}', "", []),
        ('{"name": "book", "arguments": 3}', "", []),
        ('{"name": "book", "argu', "", []),
    ],
)
def test_calls_are_told_from_words(text, spoken, calls, size):
    assert read(text, size) == (spoken, calls)


@given(st.text(), st.integers(1, 9))
def test_any_text_is_read_the_same_in_any_pieces(text, size):
    assert read(text, size) == read(text, 1000)


@given(st.text('{}[]"name:book, 1', max_size=40))
def test_what_looks_like_a_call_never_breaks(text):
    spoken, calls = read(text)
    assert "{" not in spoken
    assert all(json.dumps(call.arguments) for call in calls)


def test_calls_that_were_made_are_shown_as_notes():
    user = {"role": "user", "content": "book"}
    call = {"role": "assistant", "tool_calls": [{"id": "1"}]}
    result = {"role": "tool", "tool_call_id": "1", "content": '"table seven"'}
    shown = as_notes([user, call, result])
    assert shown[0] == user and len(shown) == 2
    assert shown[1]["role"] == "system" and "table seven" in shown[1]["content"]
