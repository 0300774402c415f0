import pytest

from agent.turns.completeness import Completeness, completeness


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Completeness.EMPTY),
        ("...", Completeness.EMPTY),
        ("What time is it?", Completeness.CLOSED),
        ("Thank you.", Completeness.CLOSED),
        ("Turn it on.", Completeness.CLOSED),
        ("I think so.", Completeness.CLOSED),
        ("I would like", Completeness.OPEN),
        ("I would like a", Completeness.TRAILING),
        ("I would like a.", Completeness.TRAILING),
        ("Milk, eggs and", Completeness.TRAILING),
        ("Um.", Completeness.TRAILING),
        ("What is it for?", Completeness.CLOSED),
        ("Well…", Completeness.OPEN),
        ("4 5 6", Completeness.OPEN),
        ("I’m", Completeness.TRAILING),
    ],
)
def test_reads_the_end_of_a_text(text, expected):
    assert completeness(text) is expected
