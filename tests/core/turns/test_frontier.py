import math

import numpy as np
import pytest

from benchmarks.turns_cache import Pause
from benchmarks.turns_frontier import frontier, outcomes, resampled, summary


def pause(clip, is_end, lasts_s=None):
    made = not is_end and lasts_s is None
    return Pause(clip, "commands", is_end, made, lasts_s, 1.0, "a", (), (), (0.5,), ())


PAUSES = [pause("a", True), pause("a", False, 0.5), pause("b", True), pause("b", False)]


def fires(*seconds):
    return np.array([[each] * len(PAUSES) for each in seconds])


def test_a_spoken_pause_is_cut_by_what_fires_before_its_end():
    found = outcomes(PAUSES, fires(0.32, 0.64), ["early", "late"])
    assert found.cut[:, 0].tolist() == [1.0, 0.0]
    assert found.latency_s[:, 0] == pytest.approx([0.32, 0.64])


def test_a_made_pause_is_cut_as_often_as_the_law_of_pauses_says():
    found = outcomes(PAUSES, fires(0.8, 2.016), ["", ""])
    assert found.cut[0, 1] == pytest.approx(0.24)
    assert found.cut[1, 1] == pytest.approx(0.02, abs=0.001)


def test_nothing_is_decided_between_hops_and_everything_by_the_backstop():
    found = outcomes(PAUSES, fires(0.3, math.inf), ["", ""])
    assert found.latency_s[:, 0] == pytest.approx([0.32, 4.0])


def test_figures_are_the_best_within_their_bounds():
    found = outcomes(PAUSES, fires(0.288, 0.512, 0.992, 1.6), ["a", "b", "c", "d"])
    fc_300, fc_600, lat_5, lat_10 = summary(found)
    assert fc_300 == found.cut[0].mean()
    assert fc_600 == found.cut[1].mean()
    assert (lat_5, lat_10) == pytest.approx((1.6, 0.992))


def test_the_frontier_holds_what_nothing_beats():
    found = outcomes(PAUSES, fires(0.32, 0.48, 0.512), ["a", "b", "c"])
    assert [setting for *_, setting in frontier(found)] == ["a", "b", "c"]
    worse = outcomes(PAUSES, fires(0.32, 0.32), ["a", "again"])
    assert [setting for *_, setting in frontier(worse)] == ["a"]


def test_draws_are_the_same_for_all_systems():
    one = outcomes(PAUSES, fires(0.288, 1.6), ["", ""])
    draws = resampled([one, one], 20)
    assert draws.shape == (20, 2, 4)
    np.testing.assert_array_equal(draws[:, 0], draws[:, 1])
