from agent.asr.hypothesis import Hypothesis
from agent.turns.events import (
    AgentFloor,
    Decision,
    DecisionKind,
    EndRequested,
    Expectation,
    Heard,
    SpeechProbability,
)
from agent.turns.floor import Floor
from agent.turns.manual import ManualPolicy
from agent.turns.policy import FusedPolicy
from agent.turns.switched import SwitchedPolicy
from agent.vad.readings import Profile


def hops(policy, probability, start, count):
    decisions = []
    for hop in range(count):
        at = start + 512 * (hop + 1)
        decisions += policy.push(SpeechProbability(at, probability))
    return decisions


def test_neither_speech_nor_silence_decides_anything():
    policy = ManualPolicy()
    assert hops(policy, 0.99, 0, 40) == []
    assert policy.user_is_speaking and not policy.wants_prosody
    assert hops(policy, 0.0, 40 * 512, 400) == []
    assert policy.push(Heard(0, Hypothesis(1, "stop", (), False, 0, 512))) == []


def test_the_client_ends_a_turn_or_takes_it_back():
    policy = ManualPolicy()
    hops(policy, 0.99, 0, 40)
    (over,) = policy.push(EndRequested(41 * 512))
    assert (over.kind, over.speech_end_sample) == (DecisionKind.COMMIT, 40 * 512)
    (dropped,) = policy.push(EndRequested(42 * 512, discard=True))
    assert dropped.kind is DecisionKind.HOLD


class Recorder:
    """In a policy's place: keeps what it is told, and decides what it was given."""

    user_is_speaking = wants_prosody = True

    def __init__(self, *decisions):
        self.told = []
        self._decisions = list(decisions)

    def push(self, evidence):
        self.told.append(evidence)
        return [self._decisions.pop(0)] if self._decisions else []


COMMIT = Decision(DecisionKind.COMMIT, 512, 512, "over")


def test_a_new_policy_is_told_who_speaks_and_what_is_expected():
    policy = SwitchedPolicy(ManualPolicy())
    speaking, expected = AgentFloor(0, is_speaking=True), Expectation(0, "short")
    policy.push(speaking)
    policy.push(expected)
    new = Recorder()
    policy.adopt(new)
    assert new.told == [expected, speaking]
    assert policy.user_is_speaking and policy.wants_prosody


def test_a_turn_that_nobody_answers_leaves_the_floor_open():
    fused = FusedPolicy()
    policy = SwitchedPolicy(fused)
    policy.adopt(Recorder(COMMIT), answers=False)
    assert policy.push(SpeechProbability(512, 0.0)) == [COMMIT]
    assert type(policy._policy.told[-1]).__name__ == "TurnLost"


def test_a_policy_that_does_not_yield_knows_nothing_of_the_agent():
    policy = SwitchedPolicy(ManualPolicy())
    new = Recorder()
    policy.adopt(new, yields=False)
    assert policy.push(AgentFloor(0, is_speaking=True)) == []
    assert new.told == []


def test_what_a_policy_can_tell_is_told():
    policy = SwitchedPolicy(ManualPolicy())
    told = (policy.profile, policy.floor, policy.judgement)
    assert told == (Profile.CONTINUOUS, Floor.OPEN, None)
    fused = FusedPolicy()
    policy.adopt(fused)
    assert (policy.profile, policy.floor) == (fused.profile, fused.floor)
    assert policy.judgement is None


def test_what_is_taken_back_is_no_turn():
    policy = FusedPolicy()
    assert policy.push(EndRequested(0, discard=True)) == []
    hops(policy, 0.99, 0, 40)
    (dropped,) = policy.push(EndRequested(41 * 512, discard=True))
    assert dropped.kind is DecisionKind.HOLD and policy.floor is Floor.OPEN


def test_an_agent_that_was_kept_waiting_goes_on_when_turns_are_found_another_way():
    policy = SwitchedPolicy(FusedPolicy())
    policy.push(AgentFloor(0, True, unsaid="the moon is far"))
    assert hops(policy, 0.99, 0, 6)[-1].kind is DecisionKind.PAUSE
    policy.adopt(FusedPolicy())
    kinds = [decision.kind for decision in hops(policy, 0.0, 6 * 512, 20)]
    assert kinds == [DecisionKind.RESUME]
