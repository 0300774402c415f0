"""Turn detection as OpenAI's clients word it, in terms of our policy."""

import pytest

from agent.runtimes import policy_settings
from agent.server.realtime_turns import policy_for
from agent.settings import TurnSettings
from agent.transports.realtime.configuration import TurnDetection
from agent.turns.manual import ManualPolicy
from agent.turns.policy import FusedPolicy
from agent.vad.readings import Profile

TURNS = TurnSettings(cut_off_cost_s=7.0, interrupt_s=0.9)
OWN = FusedPolicy(policy_settings(TURNS))


def wanted(detection, own=OWN):
    policy = policy_for(detection, lambda: own, policy_settings, TURNS)
    return policy, getattr(policy, "_settings", None)


def test_without_detection_the_client_ends_turns():
    assert isinstance(wanted(None)[0], ManualPolicy)


@pytest.mark.parametrize("eagerness", ["auto", "medium"])
def test_a_client_that_asks_for_nothing_special_has_the_agents_own(eagerness):
    assert wanted(TurnDetection(eagerness=eagerness))[0] is OWN


@pytest.mark.parametrize(
    ("detection", "profile", "cost_s"),
    [
        (TurnDetection(eagerness="low"), Profile.CONTINUOUS, 10.0),
        (TurnDetection(eagerness="high"), Profile.SHORT, 2.0),
        (TurnDetection("server_vad"), Profile.SHORT, 5.0),
        (TurnDetection("server_vad", silence_s=1.0), Profile.SHORT, 10.0),
        (TurnDetection("server_vad", silence_s=0.0), Profile.SHORT, 1.0),
        (TurnDetection("server_vad", silence_s=60.0), Profile.SHORT, 30.0),
    ],
)
def test_patience_is_a_profile_and_a_cost(detection, profile, cost_s):
    _, settings = wanted(detection)
    assert (settings.profile, settings.cut_off_cost_s) == (profile, cost_s)
    # What the client cannot word stays the agent's.
    assert settings.overlap.floor_s == 0.9 and settings.speculate


def test_what_is_not_answered_is_not_prepared():
    policy, settings = wanted(TurnDetection(create_response=False))
    assert policy is not OWN and not settings.speculate
    assert settings.cut_off_cost_s == 7.0


def test_a_policy_of_the_developers_own_is_used_as_it_is():
    class Mine:
        pass

    mine = Mine()
    assert wanted(TurnDetection("server_vad"), mine)[0] is mine
