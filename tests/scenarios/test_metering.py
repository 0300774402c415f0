"""What is counted agrees with what sounded."""

import pytest

from agent.observe.metrics import Metrics
from agent.server.metering import Meter
from tests.scenarios.fakes import DEAD
from tests.scenarios.scripted import ScriptedCall


@pytest.fixture
def metrics():
    return Metrics()


@pytest.fixture
def call(metrics):
    return ScriptedCall(
        watch=lambda session: session.watchers.append(Meter(metrics, session.recorder).see)
    )


def value(metrics, name, **labels):
    return metrics.registry.get_sample_value(f"duplex_{name}", labels)


def test_the_figures_agree_with_the_audio(call, metrics):
    call.user_says("tell me about saturn", start_s=0.5, end_s=2.0)
    call.agent_says("Saturn is a planet.")
    call.user_says("and what of mars", start_s=6.0, end_s=7.3)
    call.agent_says("Mars is another.")
    outcome = call.run(12.0)

    (first, _), (second, _) = outcome.agent_speaks_at()[0], outcome.agent_speaks_at()[-1]
    second = next(start for start, _ in outcome.agent_speaks_at() if start > 7.3)
    measured = (first - 2.0) + (second - 7.3)
    assert value(metrics, "voice_to_voice_seconds_count") == 2
    assert value(metrics, "voice_to_voice_seconds_sum") == pytest.approx(measured, abs=2 * 0.02)
    told = [turn.stages() for turn in outcome.turns[1:]]
    for stage in ("decided", "first_token", "first_clause", "first_audio"):
        total = sum(stages[f"{stage}_s"] for stages in told)
        assert value(metrics, "stage_seconds_sum", stage=stage) == pytest.approx(total)
    assert value(metrics, "turns_total") == 2
    assert value(metrics, "frame_lateness_seconds_count") > 50
    assert value(metrics, "frame_lateness_seconds_sum") == pytest.approx(0.0, abs=1e-6)


def test_a_barge_in_and_a_resume_are_told_apart(call, metrics):
    call.user_says("tell me about saturn", start_s=0.5, end_s=2.0)
    call.agent_says("Saturn is the sixth planet and it has very many rings around it.")
    call.noise(3.2, 3.45)
    call.user_says("no the car please", start_s=5.0, end_s=6.5)
    outcome = call.run(9.0)

    kinds = outcome.decisions()
    assert value(metrics, "barge_ins_total") == kinds.count("BARGE_IN") == 1
    resumed = kinds.count("RESUME") + kinds.count("BACKCHANNEL")
    assert value(metrics, "resumes_total") == resumed > 0
    assert value(metrics, "cut_offs_withdrawn_total") == 0
    for kind in set(kinds):
        assert value(metrics, "decisions_total", kind=kind) == kinds.count(kind)


def test_an_answer_withdrawn_because_the_user_went_on_is_counted(call, metrics):
    call.user_says("tell me", start_s=0.5, end_s=1.0)
    call.agent_says("About what?")
    call.user_says("about saturn", start_s=1.25, end_s=2.0)
    call.agent_says("Saturn is a planet.")
    outcome = call.run(6.0)

    assert "SPECULATE" in outcome.decisions()
    withdrawn = value(metrics, "drafts_withdrawn_total") + value(
        metrics, "cut_offs_withdrawn_total"
    )
    assert withdrawn == 1


def test_a_dead_language_model_is_a_failover(call, metrics):
    call.user_says("tell me about saturn", start_s=0.5, end_s=2.0)
    # The draft, and the answer itself.
    call.agent_says(DEAD)
    call.agent_says(DEAD)
    call.agent_says("Saturn is a planet.")
    call.run(8.0)
    assert value(metrics, "failovers_total", part="language") >= 1
