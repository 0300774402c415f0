"""What the benchmark tells our own judge, and when."""

import numpy as np
import pytest

from benchmarks.turns_across import area
from benchmarks.turns_cache import Pause
from benchmarks.turns_frontier import HOP_S
from benchmarks.turns_systems import HOPS_S, SCORING_S, TERMS, evidence


def pause(*voice, is_end=True):
    return Pause("a", "commands", is_end, not is_end, None, 1.0, "a cup", (), (), (0.5,), voice)


def voice_of(one, silence_s, *, at_once=False):
    """What the judge holds of the voice at the first hop from `silence_s` on."""
    table = evidence([one], at_once=at_once)[0, :, TERMS.index("voice")]
    return table[np.flatnonzero(silence_s - 1e-9 <= HOPS_S)[0]]


def test_a_score_asked_for_ahead_is_known_when_its_silence_counts_and_a_later_one_when_it_is_made():
    one = pause((0.096, 0.6), (0.256, 0.2))
    first, second = np.log(0.6 / 0.4), np.log(0.2 / 0.8)
    assert voice_of(one, 0.256) == pytest.approx(first)
    assert voice_of(one, 0.256 + SCORING_S) == pytest.approx(second)
    assert voice_of(one, 0.256, at_once=True) == pytest.approx(second)
    assert voice_of(one, 0.128, at_once=True) == pytest.approx(first)


def test_the_lowest_score_counts():
    assert voice_of(pause((0.096, 0.2), (0.256, 0.6)), 10 * HOP_S) == pytest.approx(np.log(0.25))


def test_the_area_is_the_chance_that_an_end_sounds_more_finished_than_a_pause():
    ends = [pause((0.096, score)) for score in (0.9, 0.5)]
    pauses = [pause((0.096, score), is_end=False) for score in (0.1, 0.5)]
    assert area([*ends, *pauses]) == pytest.approx((2 + 1 + 0.5) / 4)
