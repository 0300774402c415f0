"""Random orders of everything that can happen: no turn is left open, no agent on a held breath."""

import random

import pytest

from agent.asr.hypothesis import Hypothesis
from agent.turns.events import (
    DecisionKind,
    EndRequested,
    Expectation,
    Heard,
    SpeechProbability,
    TurnLost,
)
from agent.turns.floor import Floor
from tests.core.turns.talk import HOP, RATE, Talk

WITHIN_S = 5.0

TEXTS = (
    "", "yes.", "I want a", "no", "wait", "I want a, wait", "stop.", "go on", "um",
    "say that again.", "mm", "my number is 4 4 7", "I'm done.",
)  # fmt: skip

HELD = (Floor.USER, Floor.DUCKED, Floor.PAUSED)
"""Somebody waits for a decision."""


class Fuzzed(Talk):
    """Checks after every hop that nobody has waited for too long."""

    def __init__(self, chance, **settings):
        super().__init__(**settings)
        self.chance = chance
        self.now = 0
        self.quiet_since = 0

    def hops(self, probability, duration_s):
        for _ in range(round(duration_s * RATE / HOP)):
            super().hops(probability, HOP / RATE)
            if probability >= 0.1:  # More than any reading takes for silence.
                self.quiet_since = self.at
            waited_s = (self.at - self.quiet_since) / RATE
            assert waited_s <= WITHIN_S or self.policy.floor not in HELD, self.policy.floor
        return self

    def tell(self, evidence):
        if self.at < self.now:
            return self
        self.now = self.at
        return super().tell(evidence)

    def mute(self):
        """In the middle of a word, perhaps: the clock goes on, with digital silence."""
        self.hops(0.0, self.chance.uniform(0.2, 2.0))

    def lose_stop(self):
        """Speech that was never seen to stop: packets are lost, and the clock jumps."""
        self.speech(self.chance.uniform(0.1, 0.6))
        self.at += round(self.chance.uniform(0.1, 3.0) * RATE / HOP) * HOP

    def lose_transcript(self):
        """Speech of which the recogniser says nothing."""
        self.speech(self.chance.uniform(0.2, 1.5))
        self.silence(self.chance.uniform(0.1, 1.0))

    def stale_transcript(self):
        """What was under way when the turn was decided."""
        before = max(self.utterance - 1, 1)
        self.tell(Heard(self.at, Hypothesis(before, "old", (), False, 0, self.at)))

    def run_tool(self):
        """The agent thinks for long, then speaks, or does not; the user may speak meanwhile."""
        self.silence(self.chance.uniform(0.5, 4.0))
        if self.chance.random() < 0.5:
            self.speech(self.chance.uniform(0.1, 0.6))
        if self.chance.random() < 0.7:
            self.agent(True, "", "it is done")

    def speak_as_agent(self):
        """From its first word on; the last is told of later, or never."""
        self.agent(True, self.chance.choice(["", "so far", "What is it?"]), "and more")

    def expect(self):
        profile = self.chance.choice(["short", "continuous", None])
        self.tell(Expectation(self.at, profile, self.chance.randint(1, 9)))


def fuzz(chance):
    talk = Fuzzed(chance, speculate=chance.random() < 0.8, wake_required=chance.random() < 0.1)
    moves = {
        "hops": lambda: talk.hops(chance.random(), chance.uniform(0.03, 0.6)),
        "speech": lambda: talk.speech(chance.uniform(0.1, 1.0)),
        "silence": lambda: talk.silence(chance.uniform(0.1, 1.0)),
        "mute": talk.mute,
        "lost stop": talk.lose_stop,
        "lost transcript": talk.lose_transcript,
        "stale transcript": talk.stale_transcript,
        "tool": talk.run_tool,
        "hears": lambda: talk.hears(chance.choice(TEXTS)),
        "sounds": lambda: talk.sounds(chance.random()),
        "agent on": talk.speak_as_agent,
        "agent off": lambda: talk.agent(False),
        "lost": lambda: talk.tell(TurnLost(talk.at)),
        "button": lambda: talk.tell(EndRequested(talk.at)),
        "expect": talk.expect,
    }
    for _ in range(chance.randint(1, 20)):
        moves[chance.choice(list(moves))]()
    if chance.random() < 0.2:
        return  # The line goes dead in the middle of it: nobody is left to wait.
    talk.silence(WITHIN_S + 0.1)
    assert talk.policy.floor not in HELD
    silent_from = len(talk.decisions)
    talk.silence(0.5)
    assert talk.decisions[silent_from:] == []
    assert all(decision.reason for decision in talk.decisions if decision.kind in CLOSING)
    # Nothing stays prepared for a turn that is no more.
    kinds = [decision.kind for decision in talk.decisions if decision.kind in SETTLING]
    assert kinds[-1:] != [SPECULATE]


SPECULATE = DecisionKind.SPECULATE
CLOSING = {
    DecisionKind.COMMIT,
    DecisionKind.HOLD,
    DecisionKind.BACKCHANNEL,
    DecisionKind.REPEAT,
}
SETTLING = {*CLOSING, DecisionKind.RESUME, DecisionKind.BARGE_IN, SPECULATE}


def test_in_any_order_of_events_every_turn_is_answered_or_dropped_within_five_seconds():
    for seed in range(200):
        fuzz(random.Random(seed))


@pytest.mark.slow
def test_in_ten_thousand_orders():
    for seed in range(10_000):
        fuzz(random.Random(seed))


def test_a_turn_that_came_to_nothing_while_the_user_spoke_on_is_the_users():
    talk = Talk().speech(1).silence(0.13).hears("What time is it?").sounds(0.95).silence(1)
    talk.speech(0.6).tell(TurnLost(talk.at)).silence(0.13).hears("Yes, please.").silence(2)
    assert talk.kinds()[-1] == "COMMIT"


def test_an_empty_final_does_not_take_the_floor_from_an_agent_that_speaks():
    talk = Talk().agent(True, "so far", "and more").tell(TurnLost(0))
    assert talk.policy.floor is Floor.AGENT


def test_packets_lost_in_the_middle_of_a_word_end_the_turn_all_the_same():
    talk = Talk().speech(1)
    talk.at += 2 * RATE
    talk.tell(SpeechProbability(talk.at, 0.02)).silence(5)
    assert talk.policy.floor is not Floor.USER
