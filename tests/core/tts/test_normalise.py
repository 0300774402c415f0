"""What is said for a written word, where the pronunciation library would get it wrong."""

import pytest

from agent.tts.normalise import LONGEST_WORD, read_aloud


def spoken(clause: str, known: frozenset[str] = frozenset()) -> str:
    return " ".join(reading.spoken for reading in read_aloud(clause, known.__contains__)).strip()


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("call 4155550123", "call 4 1 5, 5 5 5, 0 1 2 3"),
        ("call (415) 555-0123 now", "call 4 1 5, 5 5 5, 0 1 2 3, now"),
        ("call +1 415 555 0123.", "call plus 1, 4 1 5, 5 5 5, 0 1 2 3."),
        ("call +44 20 7946 0958", "call plus 4 4, 2 0, 7 9 4 6, 0 9 5 8"),
        ("call 1-800-555-0199 today", "call 1, 8 0 0, 5 5 5, 0 1 9 9, today"),
        ("code 007", "code 0 0 7"),
        ("mail john.smith@example.com", "mail john dot smith at example dot com"),
        ("mail a_b-c+d@x1.org!", "mail A underscore B dash C plus D at X 1 dot org!"),
        ("see https://www.example.com/help", "see example dot com slash help"),
        ("see example.co.uk.", "see example dot co dot U K."),
        ("v2.0.1", "version 2 point 0 point 1"),
        ("192.168.0.1", "192 point 168 point 0 point 1"),
        ("10:30-11:45", "10:30 to 11:45"),
        ("5'10\"", '5 foot 10"'),
        ("C# code", "C sharp code"),
        ("24/7", "24 7"),
        ("[x](/y/)", "(x)(/y/)"),
        ("😀", ""),
        ("!!!", "!!!"),
    ],
)
def test_reading(written: str, said: str):
    assert spoken(written) == said


@pytest.mark.parametrize(
    "left_alone",
    [
        "$5.20",
        "1,234,567",
        "2024-03-14",
        "3/14/2024",
        "7:30",
        "3.14159",
        "in 2019 2020 2021",
        "12345",
    ],
)
def test_what_the_library_reads_well_is_left_to_it(left_alone: str):
    assert spoken(left_alone) == left_alone


def test_every_written_word_has_one_reading():
    clause = "Nguyễn paid $5 to (415) 555-0123 — 😀 東京"
    assert [reading.written for reading in read_aloud(clause, lambda _: False)] == clause.split()


def test_letters_the_models_do_not_know_become_ones_they_do():
    assert spoken("Łódź Þórr") == "Łódź Þórr"
    assert spoken("Nguyễn") == "Nguyên"
    assert spoken("東京") == "Dong Jing"
    assert spoken("Москва Ελλάδα").isascii()


def test_a_plain_spelling_in_the_dictionary_wins():
    assert spoken("café", frozenset({"cafe"})) == "cafe"


def test_long_words_are_cut_and_keys_cut_short():
    said = spoken("Donaudampfschifffahrtsgesellschaftskapitän")
    assert said.replace(" ", "") == "Donaudampfschifffahrtsgesellschaftskapitän"
    assert max(map(len, said.split())) <= LONGEST_WORD
    assert len(spoken("x" * 5000)) < 100
