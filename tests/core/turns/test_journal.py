"""Evidence written down and told again gives the same decisions."""

import json

import numpy as np

from agent.asr.hypothesis import Hypothesis, Word
from agent.turns.events import (
    AgentFloor,
    EndRequested,
    Expectation,
    Heard,
    Prosody,
    SpeechProbability,
    TurnLost,
    Wording,
)
from agent.turns.journal import JournalledPolicy, again
from agent.turns.policy import FusedPolicy

HOP = 512


def conversation():
    """A question, an answer, and an interruption, as numbers come from the models."""
    half = Word("far", 8000, 16_000, 0.6)
    said = Hypothesis(1, "how", (Word("how", 0, 8000, 0.9),), False, 0, 16_000, half)
    for hop in range(1, 200):
        at = hop * HOP
        loud = 5 < hop < 40 or 120 < hop < 160
        yield SpeechProbability(at, np.float32(0.97 if loud else 0.02), np.float64(-20.0), -96.0)
        if hop in (30, 41, 150):
            yield Heard(at, said)
        if hop == 46:
            yield Prosody(at, np.float32(0.93))
            yield Wording(at, "how", np.float64(0.07))
        if hop == 90:
            yield AgentFloor(at, True, "it is", "very far away")
    yield Expectation(at, "short", None)
    yield EndRequested(at)
    yield TurnLost(at)


def kept():
    lines = []
    policy = JournalledPolicy(FusedPolicy(), lines.append)
    decisions = [one for evidence in conversation() for one in policy.push(evidence)]
    return lines, decisions


def test_the_same_evidence_gives_the_same_decisions():
    lines, decisions = kept()
    pairs = list(again(lines, FusedPolicy()))
    assert decisions and sum(len(then) for then, _ in pairs) == len(decisions)
    assert all(then == now for then, now in pairs)


def test_another_decision_is_seen():
    lines, _ = kept()
    at, text = next((i, line) for i, line in enumerate(lines) if not line.endswith('"decided":[]}'))
    changed = json.loads(text)
    changed["decided"][0]["kind"] = "REPEAT"
    lines[at] = json.dumps(changed)
    assert [then == now for then, now in again(lines, FusedPolicy())].count(False) == 1


def test_it_is_asked_what_the_policy_is_asked():
    policy = JournalledPolicy(FusedPolicy(), [].append)
    plain = FusedPolicy()
    assert policy.profile is plain.profile and policy.floor is plain.floor
    assert policy.user_is_speaking is False and policy.wants_prosody is plain.wants_prosody
