from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.llm.fallback import (
    Drop,
    Failure,
    Fallback,
    FallbackSettings,
    GiveUp,
    Lines,
    Retry,
    Say,
    failure_of,
)

LINES = Lines()
SETTINGS = FallbackSettings()


def texts(actions):
    return [action.text for action in actions if isinstance(action, Say)]


def kinds(actions):
    return [type(action) for action in actions]


def test_a_prompt_answer_needs_no_words_of_ours():
    fallback = Fallback()
    actions = fallback.request_started(0.0)
    actions += fallback.tick(1.0)
    actions += fallback.token(1.2)
    actions += fallback.tick(5.0)
    actions += fallback.finished(6.0)
    assert actions == []
    assert fallback.tick(100.0) == []


def test_late_first_word_gets_one_filler():
    fallback = Fallback()
    fallback.request_started(10.0)
    assert fallback.tick(11.4) == []
    assert texts(fallback.tick(11.5)) == [LINES.filler]
    assert fallback.tick(13.0) == []


def test_no_answer_in_time_is_dropped_and_asked_again_at_once():
    fallback = Fallback()
    fallback.request_started(0.0)
    fallback.tick(1.5)
    actions = fallback.tick(10.0)
    assert kinds(actions) == [Drop, Say]
    assert kinds(fallback.tick(10.1)) == [Retry]
    # Until the shell has started it: asked for once.
    assert fallback.tick(10.2) == []


def test_dead_embedded_server_is_apologised_for_and_asked_again_when_back():
    fallback = Fallback(server_tells=True)
    fallback.request_started(0.0)
    assert texts(fallback.failed(Failure.UNREACHABLE, 0.1)) == [LINES.lost]
    assert texts(fallback.tick(5.0)) == [LINES.still]
    assert kinds(fallback.server_ready(6.0)) == [Retry]
    assert fallback.server_ready(6.1) == []
    assert fallback.tick(6.2) == []
    fallback.request_started(6.3)
    assert fallback.token(6.5) == []
    assert fallback.finished(7.0) == []


def test_server_that_stays_away_is_given_up_aloud():
    fallback = Fallback(server_tells=True)
    fallback.request_started(0.0)
    fallback.failed(Failure.UNREACHABLE, 0.0)
    # Silence would mean that the line is dead.
    assert texts(fallback.tick(4.5)) == [LINES.still]
    assert fallback.tick(8.9) == []
    assert texts(fallback.tick(19.9)) == [LINES.still]
    actions = fallback.tick(20.0)
    assert kinds(actions) == [Say, GiveUp]
    assert texts(actions) == [LINES.give_up]


def test_unreachable_stranger_is_asked_again_after_a_pause():
    fallback = Fallback()
    fallback.request_started(0.0)
    fallback.failed(Failure.UNREACHABLE, 2.0)
    assert fallback.server_ready(2.1) == []
    assert fallback.tick(2.9) == []
    assert kinds(fallback.tick(3.0)) == [Retry]


def test_answer_that_breaks_off_is_begun_again():
    fallback = Fallback()
    fallback.request_started(0.0)
    fallback.token(0.2)
    assert texts(fallback.failed(Failure.UNREACHABLE, 1.0)) == [LINES.broken_off]


def test_answer_that_stalls_is_dropped():
    fallback = Fallback()
    fallback.request_started(0.0)
    fallback.token(1.0)
    fallback.token(4.0)
    assert fallback.tick(8.9) == []
    actions = fallback.tick(9.0)
    assert kinds(actions) == [Drop, Say]
    assert texts(actions) == [LINES.broken_off]


def test_refusal_is_not_asked_again():
    fallback = Fallback()
    fallback.request_started(0.0)
    actions = fallback.failed(Failure.REFUSED, 0.1)
    assert texts(actions) == [LINES.refused]
    assert kinds(actions) == [Say, GiveUp]
    assert fallback.tick(60.0) == []


def test_attempts_are_counted_per_question():
    fallback = Fallback()
    for question_s in (0.0, 100.0):
        now_s = question_s
        for attempt in range(SETTINGS.attempts):
            fallback.request_started(now_s)
            actions = fallback.failed(Failure.BUSY, now_s)
            is_last = attempt == SETTINGS.attempts - 1
            assert (GiveUp in kinds(actions)) is is_last
            now_s += 1.0
            assert (Retry in kinds(fallback.tick(now_s))) is not is_last


def test_empty_answer_is_not_silence():
    fallback = Fallback()
    fallback.request_started(0.0)
    assert texts(fallback.finished(0.3)) == [LINES.give_up]


def test_what_the_user_cut_off_is_forgotten():
    fallback = Fallback(server_tells=True)
    fallback.request_started(0.0)
    fallback.failed(Failure.UNREACHABLE, 0.1)
    assert fallback.cancelled(0.2) == []
    assert fallback.server_ready(1.0) == []
    assert fallback.tick(60.0) == []
    # The end of the request that was cancelled arrives late.
    assert fallback.failed(Failure.UNREACHABLE, 61.0) == []
    assert fallback.token(61.0) == []


@pytest.mark.parametrize(
    ("status", "failure"),
    [
        (None, Failure.UNREACHABLE),
        (401, Failure.REFUSED),
        (404, Failure.REFUSED),
        (408, Failure.LATE),
        (429, Failure.BUSY),
        (500, Failure.BUSY),
        (503, Failure.BUSY),
        (504, Failure.LATE),
    ],
)
def test_statuses(status, failure):
    assert failure_of(status) is failure


# What becomes of one attempt: seconds to its first word (None: never), seconds to its failure
# (None: it ends well, or hangs where there is no first word either).
attempt = st.tuples(
    st.none() | st.floats(0, 12), st.none() | st.floats(0, 15), st.sampled_from(Failure)
)


@given(st.lists(attempt, min_size=3, max_size=3), st.booleans(), st.none() | st.floats(0, 30))
def test_the_user_always_hears_something_in_time(attempts, server_tells, back_after_s):
    """Play a question against every mixture of faults, ticking every 0.1 s."""
    fallback = Fallback(server_tells=server_tells)
    plan = iter(attempts)
    word_s, failure_s, failure = next(plan)
    fallback.request_started(0.0)
    started_s, in_flight, failed_s = 0.0, True, None
    heard_s = [0.0]
    now_s = 0.0
    while now_s < 120.0:
        now_s += 0.1
        actions = []
        if in_flight and failure_s is not None and now_s >= started_s + failure_s:
            actions += fallback.failed(failure, now_s)
            in_flight, failed_s = False, now_s
        elif in_flight and word_s is not None and now_s >= started_s + word_s:
            actions += fallback.token(now_s)
            heard_s.append(now_s)
            if failure_s is None:
                actions += fallback.finished(now_s)
                break
        if failed_s is not None and back_after_s is not None and now_s >= failed_s + back_after_s:
            actions += fallback.server_ready(now_s)
        actions += fallback.tick(now_s)
        heard_s += [now_s for action in actions if isinstance(action, Say)]
        if any(isinstance(action, Drop) for action in actions):
            in_flight = False
        if any(isinstance(action, GiveUp) for action in actions):
            break
        if any(isinstance(action, Retry) for action in actions):
            word_s, failure_s, failure = next(plan)
            fallback.request_started(now_s)
            started_s, in_flight, failed_s = now_s, True, None
    else:
        pytest.fail("the question never ended")
    # The first words come with the filler's patience; no later gap outlasts a restart and the
    # patience with the attempt after it.
    assert len(heard_s) == 1 or heard_s[1] <= SETTINGS.first_token_s + 0.2
    longest_s = SETTINGS.server_back_s + SETTINGS.answer_s + 1.0
    assert all(b - a <= longest_s for a, b in pairwise(heard_s))
    assert now_s - heard_s[-1] <= 0.2
