"""When the cloud is left, when it is used again, and how long a final waits for it."""

from pytest import approx

from agent.asr.hybrid.breaker import BreakerSettings, CircuitBreaker
from agent.asr.hybrid.patience import LONGEST_S, Patience


def opened(breaker: CircuitBreaker, at_s: float) -> None:
    for _ in range(BreakerSettings().failures):
        switch = breaker.failed(at_s, "refused")
    assert switch and switch.is_open and switch.reason == "refused"


def probe(breaker: CircuitBreaker, latency_s: float | None):
    at_s = breaker.next_probe_s
    assert at_s is not None
    breaker.probe()
    return breaker.probed(latency_s, at_s), at_s


def test_one_failure_is_mended_and_three_in_a_row_open():
    breaker = CircuitBreaker()
    assert breaker.failed(1.0, "lost") is None
    assert breaker.answered(0.1, 2.0) is None
    assert breaker.failed(3.0, "lost") is None
    assert breaker.failed(4.0, "lost") is None
    assert breaker.is_closed
    assert breaker.failed(5.0, "lost") is not None
    assert not breaker.is_closed


def test_half_the_answers_slow_open():
    breaker = CircuitBreaker()
    switches = [breaker.answered(2.0 if i % 2 else 0.1, i) for i in range(6)]
    assert [bool(switch) for switch in switches] == [False] * 5 + [True]
    assert switches[-1].reason == "most answers are slow"


def test_a_repaired_cloud_is_back_within_one_probe_interval():
    breaker = CircuitBreaker()
    opened(breaker, 10.0)
    switch, at_s = probe(breaker, None)
    assert switch is None and at_s == 15.0
    switch, at_s = probe(breaker, 0.2)
    assert switch and not switch.is_open
    assert at_s - 15.0 <= BreakerSettings().probe_every_s


def test_a_slow_probe_does_not_close():
    breaker = CircuitBreaker()
    opened(breaker, 0.0)
    assert probe(breaker, 1.5)[0] is None
    assert not breaker.is_closed


def test_each_new_fall_asks_for_one_probe_more():
    breaker, needed, now_s = CircuitBreaker(), [], 0.0
    for _ in range(8):
        opened(breaker, now_s)
        probes = 0
        while not breaker.is_closed:
            _, now_s = probe(breaker, 0.1)
            probes += 1
        needed.append(probes)
    assert needed[:6] == [1, 2, 3, 4, 5, 6]
    assert max(needed) == BreakerSettings().most_probes
    opened(breaker, now_s + 121.0)
    assert probe(breaker, 0.1)[0] is not None


def test_answers_after_it_opened_change_nothing():
    breaker = CircuitBreaker()
    opened(breaker, 0.0)
    due = breaker.next_probe_s
    assert breaker.answered(0.1, 1.0) is None
    assert breaker.failed(1.0, "lost") is None
    assert breaker.next_probe_s == due


def test_a_final_waits_as_long_as_the_cloud_usually_takes():
    patience = Patience()
    assert patience.wait_s == LONGEST_S
    for i in range(20):
        patience.answered(0.1 + i / 100)
    assert patience.wait_s == approx(0.28)


def test_a_cloud_that_mostly_takes_longer_is_not_waited_for():
    patience = Patience()
    for latency_s in (0.2, 0.6, 0.7, 0.2, 0.65, 0.2):
        patience.answered(latency_s)
    assert patience.wait_s == 0.0
    patience.answered(0.2)
    assert patience.wait_s == LONGEST_S


def test_one_late_answer_ends_the_waiting_until_one_comes_in_time():
    patience = Patience()
    patience.answered(0.1)
    patience.late()
    assert patience.wait_s == 0.0
    patience.answered(0.12)
    assert patience.wait_s == approx(0.12)
