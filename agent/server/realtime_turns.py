"""Turn detection as the Realtime protocol words it, in terms of our policy. Pure."""

from collections.abc import Callable
from dataclasses import replace

from agent.settings import TurnSettings
from agent.transports.realtime.configuration import TurnDetection
from agent.turns.events import TurnPolicy
from agent.turns.manual import ManualPolicy
from agent.turns.policy import FusedPolicy
from agent.turns.policy_settings import PolicySettings
from agent.vad.readings import Profile

_COST_PER_SILENCE = 10.0
"""server_vad waits a fixed silence, ours depends on what is said. 500 ms, which is usual, become
the usual cost of a cut-off, 5 s; others in proportion."""

_LEAST_COST_S, _MOST_COST_S = 1.0, 30.0


def policy_for(
    detection: TurnDetection | None,
    own: Callable[[], TurnPolicy],
    settings: Callable[[TurnSettings], PolicySettings],
    turns: TurnSettings,
) -> TurnPolicy:
    """Return a policy that finds turns as a client wants.

    Args:
        detection: The client's words; None: it says itself when a turn is over.
        own: Makes the agent's policy. One of a developer's own is used as it is.
        settings: Turns the agent's settings into the policy's.
        turns: The agent's settings.
    """
    if detection is None:
        return ManualPolicy()
    policy = own()
    if not isinstance(policy, FusedPolicy):
        return policy
    wanted = settings(turns)
    if not detection.create_response:
        wanted = replace(wanted, speculate=False)
    elif detection == replace(TurnDetection(), eagerness=detection.eagerness) and (
        detection.eagerness in ("auto", "medium")
    ):
        return policy
    return FusedPolicy(_tuned(wanted, detection))


def _tuned(wanted: PolicySettings, detection: TurnDetection) -> PolicySettings:
    if detection.kind == "server_vad":
        cost_s = detection.silence_s * _COST_PER_SILENCE
        cost_s = min(max(cost_s, _LEAST_COST_S), _MOST_COST_S)
        return replace(wanted, profile=Profile.SHORT, cut_off_cost_s=cost_s)
    match detection.eagerness:
        case "low":
            return replace(wanted, profile=Profile.CONTINUOUS, cut_off_cost_s=10.0)
        case "high":
            return replace(wanted, profile=Profile.SHORT, cut_off_cost_s=2.0)
        case _:
            return wanted
