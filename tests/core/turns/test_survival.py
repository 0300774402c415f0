import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.turns.survival import LAW, Pace, silence_for, surprise


def test_is_the_published_table():
    import math

    for silence_s, share in LAW:
        assert math.exp(-surprise(silence_s)) == pytest.approx(share)


@given(st.floats(0.0, 10.0), st.floats(0.0, 10.0))
def test_longer_silence_is_never_less_surprising(first, second):
    low, high = sorted((first, second))
    assert surprise(low) <= surprise(high)


@given(st.floats(0.001, 12.0))
def test_silence_for_is_its_inverse(wanted):
    assert surprise(silence_for(wanted)) == pytest.approx(wanted)


def test_no_surprise_needs_no_silence():
    assert silence_for(-1.0) == 0.2


def test_a_pace_is_learnt_slowly_and_within_limits():
    pace = Pace()
    assert pace.scale == 1.0
    pace.paused(0.05)
    assert pace.scale == 1.0
    pace.paused(1.5)
    assert 1.0 < pace.scale < 1.5
    for _ in range(100):
        pace.paused(3.0)
    assert pace.scale == Pace.SLOWEST
    for _ in range(1000):
        pace.paused(0.2)
    assert pace.scale == Pace.FASTEST
