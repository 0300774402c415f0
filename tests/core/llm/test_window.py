from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.llm.window import ConversationWindow, _tokens


def test_a_short_conversation_is_shown_whole():
    assert ConversationWindow(100, 50).first_shown(["hello", "hi"]) == 0


def test_much_is_left_out_at_once_and_then_nothing_for_long():
    window = ConversationWindow(most_tokens=300, kept_tokens=100)
    texts, firsts = [], []
    for _ in range(60):
        texts.append("a" * 35)
        firsts.append(window.first_shown(texts))
    changes = sum(a != b for a, b in pairwise(firsts))
    assert firsts[-1] > 0 and changes <= 5


def test_the_latest_message_is_always_shown():
    assert ConversationWindow(10, 5).first_shown(["a" * 1000, "b" * 1000]) == 1


def test_a_new_conversation_begins_at_its_start():
    window = ConversationWindow(20, 10)
    window.first_shown(["a" * 70] * 10)
    assert window.first_shown(["hello"]) == 0


@given(st.lists(st.text(max_size=200), min_size=1, max_size=60))
def test_what_is_shown_fits(texts):
    window = ConversationWindow(most_tokens=200, kept_tokens=100)
    for count in range(1, len(texts) + 1):
        first = window.first_shown(texts[:count])
        shown = texts[first:count]
        assert shown and (len(shown) == 1 or _tokens(shown) <= 200)
