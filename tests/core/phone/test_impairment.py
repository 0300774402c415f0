"""A network of one seed is always the same."""

from itertools import pairwise

from pytest import approx

from agent.eval.impairment import Impairment


def test_nothing_wrong_is_only_late():
    arrivals = Impairment(delay_s=0.05).arrivals("abc")
    assert [(number, packet) for _, number, packet in arrivals] == [(0, "a"), (1, "b"), (2, "c")]
    assert [at for at, _, _ in arrivals] == approx([0.05, 0.07, 0.09])


def test_the_seed_decides():
    network = Impairment(loss=0.1, jitter_s=0.06, double=0.1, seed=4)
    first = network.arrivals(range(1000))
    assert first == network.arrivals(range(1000))
    assert first != Impairment(loss=0.1, jitter_s=0.06, double=0.1, seed=5).arrivals(range(1000))


def test_its_shares_are_what_they_say():
    arrivals = Impairment(loss=0.05, jitter_s=0.06, double=0.02).arrivals(range(10_000))
    numbers = [number for _, number, _ in arrivals]
    assert 10_000 - len(set(numbers)) == approx(500, abs=80)
    assert len(numbers) - len(set(numbers)) == approx(190, abs=50)
    overtaken = sum(later < earlier for earlier, later in pairwise(numbers))
    assert overtaken > 1000
    assert all(0.05 <= at - number * 0.02 <= 0.11 for at, number, _ in arrivals)
