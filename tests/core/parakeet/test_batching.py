"""What goes to the device next."""

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.parakeet.batching import LEAST_FULL, Batcher, Budget, Job, Priority, padded_s
from agent.parakeet.engine import Facts

BUDGET = Budget(max_batch=8, max_batch_s=120.0, max_batch_s2=2000.0)


def job(number, length_s=1.0, priority=Priority.FILE, deadline_s=100.0, attempts=0):
    return Job(number, round(length_s * 16_000), priority, 0.0, deadline_s, attempts)


def filled(*jobs):
    batcher = Batcher()
    for one in jobs:
        batcher.add(one)
    return batcher


def numbers(batch):
    return [one.number for one in batch]


def test_a_lone_job_leaves_alone():
    assert numbers(filled(job(1)).take(BUDGET)) == [1]


def test_nothing_waits_nothing_leaves():
    assert Batcher().take(BUDGET) == []


def test_what_gathered_leaves_together_up_to_the_limit():
    batcher = filled(*(job(number) for number in range(10)))
    assert numbers(batcher.take(BUDGET)) == list(range(8))
    assert numbers(batcher.take(BUDGET)) == [8, 9]


def test_people_go_before_recordings():
    batcher = filled(*(job(number) for number in range(8)), job(99, priority=Priority.LIVE))
    assert batcher.take(BUDGET)[0].number == 99
    assert batcher.waiting(Priority.LIVE) == 0
    assert batcher.waiting(Priority.FILE) == 1


def test_the_nearest_deadline_leads():
    batcher = filled(job(1, deadline_s=9), job(2, deadline_s=3), job(3, deadline_s=6))
    assert numbers(batcher.take(BUDGET)) == [2, 3, 1]


def test_jobs_of_one_length_find_each_other():
    batcher = filled(job(1, 10), *(job(10 + n, 0.4) for n in range(4)), job(2, 12), job(3, 9))
    assert numbers(batcher.take(BUDGET)) == [1, 2, 3]


def test_what_a_worker_died_of_runs_alone():
    batcher = filled(job(1, attempts=1), job(2), job(3))
    assert numbers(batcher.take(BUDGET)) == [1]
    assert numbers(batcher.take(BUDGET)) == [2, 3]


def test_a_retried_job_joins_nobody():
    batcher = filled(job(1), job(2, attempts=1), job(3))
    assert numbers(batcher.take(BUDGET)) == [1, 3]


def test_the_longest_job_leaves_though_it_exceeds_the_budget():
    # The engine has the last word; waiting for ever would be none.
    assert numbers(filled(job(1, 100)).take(Budget(8, 60.0, 600.0))) == [1]


def test_removed_jobs_do_not_leave():
    batcher = filled(job(1), job(2))
    assert batcher.remove(1)
    assert not batcher.remove(1)
    assert numbers(batcher.take(BUDGET)) == [2]
    assert batcher.waiting_s() == 0.0


def test_memory_shrinks_the_budget():
    facts = Facts("fake", "m", "cpu", max_batch=32, max_batch_s=600, max_batch_s2=1000)
    assert Budget.of(facts, 0.5) == Budget(16, 300.0, 500.0)
    assert Budget.of(facts, 0.01).max_batch == 1


@settings(max_examples=50, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.floats(0.1, 60), st.sampled_from(Priority), st.floats(0, 50), st.integers(0, 1)
        ),
        max_size=60,
    )
)
def test_every_job_leaves_exactly_once_within_the_budget(given_jobs):
    batcher = filled(*(job(n, *one) for n, one in enumerate(given_jobs)))
    left = []
    while len(batcher):
        batch = batcher.take(BUDGET)
        longest = max(one.length_s for one in batch)
        if len(batch) > 1:
            assert BUDGET.holds(len(batch), longest)
            assert not any(one.attempts for one in batch)
            assert sum(one.length_s for one in batch) >= LEAST_FULL * padded_s(batch)
        left += numbers(batch)
    assert sorted(left) == list(range(len(given_jobs)))
