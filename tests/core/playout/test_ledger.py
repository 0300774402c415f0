from hypothesis import given
from hypothesis import strategies as st

from agent.playout.ledger import Ledger
from agent.tts.speech import SpokenWord

RATE = 1000
NAMES = ["one", "two", "three", "four"]
WORDS = tuple(SpokenWord(text, i, i + 1.0) for i, text in enumerate(NAMES))


def test_a_word_is_heard_once_more_than_half_of_it_has_sounded():
    ledger = Ledger(RATE)
    ledger.add(WORDS, start=0)
    assert ledger.heard_until(1500) == ["one"]
    assert ledger.heard_until(1501) == ["two"]
    assert ledger.heard_text == "one two" and ledger.unheard_text == "three four"


def test_what_was_sent_runs_ahead_of_what_was_heard():
    ledger = Ledger(RATE)
    ledger.add(WORDS, start=0)
    ledger.heard_until(1200)
    assert [word.text for word in ledger.sent_until(2100)] == ["one", "two"]
    assert [word.text for word in ledger.sent_until(2600)] == ["three"]


def test_a_cut_forgets_what_was_not_heard():
    ledger = Ledger(RATE)
    ledger.add(WORDS, start=0)
    ledger.heard_until(2000)
    assert ledger.cut() == "three four"
    assert ledger.heard_until(9000) == [] and ledger.heard_text == "one two"


def test_a_new_response_begins_empty():
    ledger = Ledger(RATE)
    ledger.add(WORDS, start=0)
    ledger.heard_until(9000)
    ledger.begin()
    assert ledger.heard_text == "" == ledger.unheard_text


@given(st.lists(st.integers(0, 5000), max_size=20))
def test_words_are_heard_in_order_and_once_however_the_position_moves(positions):
    ledger = Ledger(RATE)
    ledger.add(WORDS, start=0)
    heard = [word for position in positions for word in ledger.heard_until(position)]
    assert heard == [word.text for word in WORDS][: len(heard)]
    assert ledger.heard_text.split() == heard
