"""The short form of `python -m tests.realtime_fuzz --cases 100000`."""

from tests.realtime_fuzz import run


def test_no_event_goes_unanswered_and_no_session_is_lost():
    found = run(3000, length=300)
    assert found["lost"] == 0
    # Both kinds, or the grammar has come apart.
    assert 500 < found["errors"] < 2900
