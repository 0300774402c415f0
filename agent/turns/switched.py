"""A policy that can be exchanged in mid conversation, because the client asks for it. Pure."""

from agent.turns.ending import Judgement
from agent.turns.events import (
    AgentFloor,
    Decision,
    DecisionKind,
    Evidence,
    Expectation,
    Explains,
    TurnLost,
    TurnPolicy,
)
from agent.turns.floor import Floor
from agent.vad.readings import Profile

_KEPT_WAITING = (Floor.DUCKED, Floor.PAUSED, Floor.WAITING)


class SwitchedPolicy:
    """Asks one policy after another. Pure.

    A new one is told who speaks and what is expected. What the user is saying at that moment
    belongs to a turn that begins then, and an agent that was kept waiting goes on.
    """

    _policy: TurnPolicy

    def __init__(self, policy: TurnPolicy) -> None:
        self._owes_resume = False
        self._policy = policy
        self._agent: AgentFloor | None = None
        self._expectation: Expectation | None = None
        self.adopt(policy)

    def adopt(self, policy: TurnPolicy, *, answers: bool = True, yields: bool = True) -> None:
        """Ask this policy from now on.

        Args:
            policy: Has not decided anything yet.
            answers: Whether a turn that has ended is answered. Otherwise the floor is open again
                at once.
            yields: Whether speech may interrupt the agent. Otherwise a turn is one whoever speaks.
        """
        self._owes_resume = self._owes_resume or self.floor in _KEPT_WAITING
        self._policy, self._answers, self._yields = policy, answers, yields
        for known in (self._expectation, self._agent if yields else None):
            if known:
                policy.push(known)

    @property
    def user_is_speaking(self) -> bool:
        """Whether the user's speech is confirmed and has not stopped."""
        return self._policy.user_is_speaking

    @property
    def wants_prosody(self) -> bool:
        """Whether another score could change what is decided."""
        return self._policy.wants_prosody

    @property
    def profile(self) -> Profile:
        """How the user is expected to speak next."""
        policy = self._policy
        return policy.profile if isinstance(policy, Explains) else Profile.CONTINUOUS

    @property
    def floor(self) -> Floor:
        """Who holds the floor."""
        return self._policy.floor if isinstance(self._policy, Explains) else Floor.OPEN

    @property
    def judgement(self) -> Judgement | None:
        """What is known of the end of the user's turn; None while there is nothing to judge."""
        return self._policy.judgement if isinstance(self._policy, Explains) else None

    def push(self, evidence: Evidence) -> list[Decision]:
        """Take one piece of evidence; return what follows from it, in order."""
        if isinstance(evidence, Expectation):
            self._expectation = evidence
        if isinstance(evidence, AgentFloor):
            self._agent = evidence
            if not self._yields:
                return []
        decisions = [*self._resumption(evidence.at_sample), *self._policy.push(evidence)]
        is_over = any(decision.kind is DecisionKind.COMMIT for decision in decisions)
        if is_over and not (self._answers and self._yields):
            decisions += self._policy.push(TurnLost(evidence.at_sample))
        return decisions

    def _resumption(self, at_sample: int) -> list[Decision]:
        """Let an agent go on that the policy before had stopped: this one does not know of it."""
        if not self._owes_resume:
            return []
        self._owes_resume = False
        return [Decision(DecisionKind.RESUME, at_sample, at_sample, "turns are found another way")]
