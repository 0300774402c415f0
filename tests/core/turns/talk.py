"""Drives a turn policy by hand."""

from agent.asr.hypothesis import Hypothesis, Word
from agent.turns.ending import EndOfTurn
from agent.turns.events import AgentFloor, DecisionKind, Heard, Prosody, SpeechProbability
from agent.turns.floor import Floor
from agent.turns.policy import FusedPolicy
from agent.turns.policy_settings import PolicySettings
from tests.weights import KNOWN

HOP, RATE = 512, 16_000


class Talk:
    """Drives a policy hop by hop; words are spread evenly over the speech they are heard in."""

    def __init__(self, **settings):
        self.policy = FusedPolicy(PolicySettings(**settings), EndOfTurn(KNOWN))
        self.at = 0
        self.utterance = 1
        self.began = 0
        self.decisions = []

    def hops(self, probability, duration_s, echo=-96.0):
        for _ in range(round(duration_s * RATE / HOP)):
            self.at += HOP
            self.tell(SpeechProbability(self.at, probability, -20.0, echo))
        return self

    def speech(self, duration_s):
        if self.policy.floor is not Floor.USER:
            self.began = self.at
        return self.hops(0.95, duration_s)

    def silence(self, duration_s):
        return self.hops(0.02, duration_s)

    def hears(self, text, until=None, half=""):
        """`half`: the word that is still being spoken."""
        texts = text.split()
        end = self.policy._hearing.silent_since or self.at
        step = (end - self.began) // max(len(texts), 1)
        words = tuple(
            Word(word, self.began + i * step, self.began + (i + 1) * step, 0.9)
            for i, word in enumerate(texts)
        )
        hypothesis = Hypothesis(
            self.utterance,
            text,
            words,
            is_final=False,
            start_sample=self.began,
            end_sample=until or self.at,
            unfinished=Word(half, end, end, 0.9) if half else None,
        )
        return self.tell(Heard(self.at, hypothesis))

    def sounds(self, probability):
        return self.tell(Prosody(self.at, probability))

    def agent(self, is_speaking, said="", unsaid="which goes around it once a month"):
        """A silent agent has nothing left to say."""
        unsaid = unsaid if is_speaking else ""
        return self.tell(AgentFloor(self.at, is_speaking, said, unsaid))

    def tell(self, evidence):
        for decision in self.policy.push(evidence):
            self.decisions.append(decision)
            if decision.kind.name in ("COMMIT", "HOLD", "BACKCHANNEL", "REPEAT"):
                self.utterance += 1
        return self

    def kinds(self):
        return [decision.kind.name for decision in self.decisions]

    def waited(self, kind):
        decision = next(d for d in self.decisions if d.kind is DecisionKind[kind])
        return (decision.at_sample - decision.speech_end_sample) / RATE
