import pytest

from agent.turns.backchannels import Reading, read


@pytest.mark.parametrize(
    ("text", "reading"),
    [
        ("", "EMPTY"),
        ("uh-huh", "BACKCHANNEL"),
        ("Okay, yeah.", "BACKCHANNEL"),
        ("of", "BEGINNING"),
        ("yeah I", "BEGINNING"),
        ("no", "FLOOR_WORD"),
        ("no thanks", "FLOOR_WORD"),
        ("but", "FLOOR_WORD"),
        ("table", "WORD"),
        ("greats", "BEGINNING"),
        ("make sense", "BACKCHANNEL"),
        ("and the", "UNSURE"),
        ("yeah table four", "CONTENT"),
    ],
)
def test_reading(text, reading):
    assert read(text.split(), asked=False) is Reading[reading]


def test_a_nod_to_a_question_is_an_answer():
    assert read(["Okay."], asked=True) is Reading.ANSWER
    assert read(["Okay."], asked=False) is Reading.BACKCHANNEL


@pytest.mark.parametrize("heard", ["ice", "make", "I", "got"])
def test_half_of_a_nod_may_still_become_one(heard):
    assert read([heard], asked=False) is Reading.BEGINNING


def test_half_of_a_nod_with_something_behind_it_is_none():
    assert read(["make", "coffee"], asked=False) is Reading.CONTENT
