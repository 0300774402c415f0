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
        ("greats", "UNSURE"),
        ("and the", "UNSURE"),
        ("yeah table four", "CONTENT"),
    ],
)
def test_reading(text, reading):
    assert read(text.split(), asked=False) is Reading[reading]


def test_a_nod_to_a_question_is_an_answer():
    assert read(["Okay."], asked=True) is Reading.ANSWER
    assert read(["Okay."], asked=False) is Reading.BACKCHANNEL
