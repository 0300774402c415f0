"""Normalised words keep the written word they come from."""

from agent.tts.matching import match


def owners(before: str, after: str) -> list[int]:
    words = [(word, index) for index, word in enumerate(before.split())]
    return [owner for _, owner in match(words, after.split(), lambda word: [word])]


def test_equal_words_keep_their_owner():
    assert owners("a b c", "a b c") == [0, 1, 2]


def test_one_word_that_becomes_several_owns_them_all():
    assert owners("pay 3/14/2024 now", "pay March fourteenth, 2024 now") == [0, 1, 1, 1, 2]


def test_words_rewritten_together_are_divided_by_likeness():
    assert owners("7:05 a.m. sharp", "seven oh five A.M. sharp") == [0, 0, 0, 1, 2]
    assert owners("on Jan 5", "on January fifth") == [0, 1, 2]


def test_an_added_word_belongs_to_its_neighbour():
    assert owners("Henry VIII spoke", "Henry the eighth spoke") == [0, 1, 1, 2]


def test_a_word_that_vanishes_leaves_the_others_in_place():
    assert owners("costs Rs. 500 now", "costs 500 rupees now") == [0, 2, 2, 3]


def test_nothing_gives_nothing():
    assert owners("", "") == []
