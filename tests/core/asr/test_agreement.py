from agent.asr.agreement import agreed, plain, showable
from agent.asr.hypothesis import Word


def words(text, length=1000):
    return tuple(
        Word(word, at * length, (at + 1) * length, 0.9) for at, word in enumerate(text.split())
    )


def test_agreement_ends_at_the_first_different_word():
    assert agreed(words("I would like a"), words("I would love a")) == 2


def test_case_and_punctuation_do_not_disagree():
    assert agreed(words("Well. no, stop"), words("well no stop now")) == 3


def test_a_longer_reading_agrees_with_its_beginning():
    assert agreed(words(""), words("yes")) == 0
    assert agreed(words("yes"), words("yes please")) == 1


def test_an_apostrophe_is_part_of_the_word():
    assert plain("Can't,") == "can't"
    assert agreed(words("can't"), words("cant")) == 0


def test_the_word_still_being_spoken_is_withheld():
    assert [word.text for word in showable(words("book a tab"), 3050, edge=100)] == ["book", "a"]


def test_a_word_followed_by_quiet_is_shown():
    shown = showable(words("book a table"), 3500, edge=100)
    assert [word.text for word in shown] == ["book", "a", "table"]


def test_an_only_word_is_shown_at_once():
    assert [word.text for word in showable(words("Hello"), 1000, edge=100)] == ["Hello"]


def test_the_stop_of_a_partial_is_dropped_and_inner_ones_stay():
    shown = showable(words("Yes. I would, like."), 9000, edge=100)
    assert [word.text for word in shown] == ["Yes.", "I", "would,", "like"]


def test_nothing_recognised_shows_nothing():
    assert showable((), 9000, edge=100) == ()
