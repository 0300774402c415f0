"""Overload on a virtual clock: who is let in is served soon, who is not hears so at once."""

import heapq
import itertools
import random

import pytest

from agent.parakeet.admission import Admission, MemoryTrial
from agent.parakeet.batching import Batcher, Budget, Job, Priority

BATCH_S = 0.02
"""A device with a fixed cost."""

MAX_BATCH = 8


def simulate(rate, bound_s, seconds=20.0, seed=1):
    """Poisson arrivals at `rate` per second at one device; latencies of those let in, refusals."""
    draw = random.Random(seed)
    batcher, admission = Batcher(), Admission(max_jobs=10_000)
    budget = Budget(MAX_BATCH, 1e9, 1e9)
    events = [(draw.expovariate(rate), 0, 1)]
    numbers = itertools.count(2)
    running, latencies, refused, at_s = [], [], [], {}

    def start(now_s):
        """As the dispatcher does: a free device takes what is there, a busy one a full batch."""
        while not running or (len(running) < 2 and len(batcher) >= MAX_BATCH):
            batch = batcher.take(budget)
            if not batch:
                return
            running.append(batch)
            admission.started(0, now_s)
            if len(running) == 1:
                heapq.heappush(events, (now_s + BATCH_S, 1, 0))

    while events:
        now_s, kind, number = heapq.heappop(events)
        if kind == 1:
            latencies += [now_s - at_s[job.number] for job in running.pop(0)]
            admission.finished(0, BATCH_S, now_s)
            if running:
                heapq.heappush(events, (now_s + BATCH_S, 1, 0))
            start(now_s)
            continue
        if now_s < seconds:
            heapq.heappush(events, (now_s + draw.expovariate(rate), 0, next(numbers)))
        rejection = admission.judge(
            ahead=batcher.waiting(Priority.LIVE),
            waiting=len(batcher),
            devices=1,
            max_batch=MAX_BATCH,
            bound_s=bound_s,
            now_s=now_s,
        )
        if rejection is not None:
            refused.append(rejection)
            continue
        at_s[number] = now_s
        batcher.add(Job(number, 16_000, Priority.LIVE, now_s, now_s + 10))
        start(now_s)
    return sorted(latencies), refused


def p99(values):
    return values[int(0.99 * len(values))]


CAPACITY = MAX_BATCH / BATCH_S


def test_a_quiet_server_refuses_nobody_and_delays_nobody():
    latencies, refused = simulate(rate=5, bound_s=BATCH_S)
    assert refused == []
    assert latencies[len(latencies) // 2] == pytest.approx(BATCH_S)


def test_three_times_the_load_does_not_slow_down_who_is_let_in():
    """At most twice the unloaded time: what is left of a batch, and its own."""
    latencies, refused = simulate(rate=3 * CAPACITY, bound_s=BATCH_S)
    assert p99(latencies) <= 2 * BATCH_S + 1e-9
    assert refused
    assert all(rejection.retry_after_s > 0 for rejection in refused)
    # And the device never idles: it works at what it can.
    assert len(latencies) >= 0.98 * CAPACITY * 20


def test_near_capacity_batches_fill_and_nobody_is_refused_with_patience():
    latencies, refused = simulate(rate=0.8 * CAPACITY, bound_s=1.0)
    assert refused == []
    assert p99(latencies) <= 3 * BATCH_S


def test_the_queue_is_bounded_without_any_device():
    admission = Admission(max_jobs=3)

    def judge(waiting):
        return admission.judge(
            ahead=waiting, waiting=waiting, devices=0, max_batch=8, bound_s=1.0, now_s=0.0
        )

    assert judge(2) is None
    assert judge(3) is not None


def test_a_lost_device_is_not_waited_for():
    admission = Admission(max_jobs=10)
    admission.started(0, -2.0)
    admission.finished(0, 2.0, 0.0)
    admission.started(0, 0.0)
    assert admission.expected_wait_s(0, 1, 8, now_s=0.5) == pytest.approx(1.5)
    admission.lost(0)
    assert admission.expected_wait_s(0, 1, 8, now_s=0.5) == 0.0


def test_a_batch_sent_ahead_is_waited_for_too():
    admission = Admission(max_jobs=10)
    admission.started(0, -2.0)
    admission.finished(0, 2.0, 0.0)
    admission.started(0, 0.0)
    admission.started(0, 0.5)
    assert admission.expected_wait_s(0, 1, 8, now_s=0.5) == pytest.approx(3.5)
    # The first took longer than usual: the second begins now.
    admission.finished(0, 2.0, 3.0)
    assert admission.expected_wait_s(0, 1, 8, now_s=3.0) == pytest.approx(2.0)
    admission.finished(0, 2.0, 5.0)
    assert admission.expected_wait_s(0, 1, 8, now_s=5.0) == 0.0


def test_memory_that_failed_is_trusted_again_after_a_while():
    trial = MemoryTrial()
    assert trial.scale(0.0) == 1.0
    trial.failed(10.0)
    assert trial.scale(11.0) == pytest.approx(0.7)
    trial.failed(12.0)
    assert trial.scale(13.0) == pytest.approx(0.49)
    assert trial.scale(12.0 + 60.0) == pytest.approx(0.49 * 1.25)
    assert trial.scale(12.0 + 3600.0) == 1.0
