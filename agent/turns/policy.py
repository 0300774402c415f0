"""The turn policy: who holds the floor, from all that is heard. Pure.

What happens becomes a signal, the floor's table says what follows. Two judges stand behind it: one
says when the user's turn has ended, the other what speech over the agent means.
"""

from collections.abc import Iterable
from dataclasses import replace

from agent.audio.chunk import samples, seconds
from agent.turns.ending import Context, EndOfTurn, Judgement
from agent.turns.events import (
    AgentFloor,
    Decision,
    DecisionKind,
    EndRequested,
    Evidence,
    Expectation,
    Heard,
    Prosody,
    SpeechProbability,
    TurnLost,
    Wording,
)
from agent.turns.expectation import expected
from agent.turns.floor import TABLE, Act, Floor, Signal
from agent.turns.hearing import Hearing
from agent.turns.hotwords import Hotwords
from agent.turns.over_agent import OverAgent
from agent.turns.overlap_evidence import AgentSpeech
from agent.turns.policy_settings import PolicySettings
from agent.turns.step import Figures, Step
from agent.turns.user_turn import UserTurn, drop
from agent.vad.endpointer import SpeechStarted, SpeechStopped
from agent.vad.readings import Profile


class FusedPolicy:
    """Decides who holds the floor. Pure: the same evidence gives the same decisions.

    Silence counts only after speech, so a quiet line never ends a turn; every turn is answered or
    dropped with a reason.
    """

    def __init__(
        self, settings: PolicySettings | None = None, ending: EndOfTurn | None = None
    ) -> None:
        self._settings = settings or PolicySettings()
        self._profile = self._settings.profile or Profile.SHORT
        self._hearing = Hearing(self._profile)
        hotwords = Hotwords(self._settings.hotwords)
        self._turn = UserTurn(self._hearing, ending or EndOfTurn(), hotwords, self._settings)
        self._over_agent = OverAgent(self._hearing, hotwords, self._settings)
        self._floor = Floor.OPEN
        self._floor_since = 0
        self._agent = AgentFloor(0, is_speaking=False)
        self._expectation: Expectation | None = None
        self._agent_off_at = -1
        self._forget()

    @property
    def floor(self) -> Floor:
        """Who holds the floor."""
        return self._floor

    @property
    def profile(self) -> Profile:
        """How the user is expected to speak next."""
        return self._profile

    @property
    def judgement(self) -> Judgement | None:
        """What is known of the end of the user's turn; None while there is nothing to judge."""
        if not self._user_pauses or self._hearing.hypothesis is None:
            return None
        return self._turn.judgement

    @property
    def user_is_speaking(self) -> bool:
        """Whether the user's speech is confirmed and has not stopped."""
        return self._hearing.is_speaking

    @property
    def wants_prosody(self) -> bool:
        """Whether a score of the voice asked for now can change when the turn ends."""
        return self._user_pauses and self._turn.wants_prosody

    @property
    def _user_pauses(self) -> bool:
        return self._floor is Floor.USER and not self.user_is_speaking

    def push(self, evidence: Evidence) -> list[Decision]:
        """Take one piece of evidence; return what follows from it, in order."""
        self._hearing.now = max(self._hearing.now, evidence.at_sample)
        match evidence:
            case SpeechProbability():
                return self._on_hop(evidence)
            case Heard():
                return self._on_heard(evidence)
            case Prosody():
                self._turn.sounded(evidence)
                return []
            case Wording():
                self._turn.read(evidence)
                return []
            case AgentFloor():
                return self._on_agent(evidence)
            case Expectation():
                self._expectation = evidence
                self._expect()
                return []
            case EndRequested(discard=True):
                return self._take([drop("taken back")]) if self._floor is Floor.USER else []
            case EndRequested():
                self._turn.request_end(is_open=self._floor is Floor.USER)
                return []
            case TurnLost():
                # What the agent is saying is another answer.
                reason = "nothing was left to answer"
                return [] if self._agent.is_speaking else self._agent_off(reason)

    def _on_hop(self, hop: SpeechProbability) -> list[Decision]:
        sound = self._hearing.hop(hop)
        decisions: list[Decision] = []
        if isinstance(sound.noticed, SpeechStarted):
            decisions += self._signal(Signal.NOTICED, "sound over the agent")
        elif isinstance(sound.noticed, SpeechStopped):
            decisions += self._signal(Signal.FADED, "it was no speech")
        if isinstance(sound.confirmed, SpeechStarted):
            decisions += self._on_speech(sound.confirmed.start_sample, sound.pause_from)
        if self._over_agent.is_open:
            decisions += self._take(self._over_agent.weigh(hop))
        elif self._floor is Floor.USER:
            decisions += self._take(self._turn.weigh())
        return decisions + self._out_of_patience()

    def _on_speech(self, start: int, silent_since: int) -> list[Decision]:
        if self._floor is Floor.USER:
            return self._take(self._turn.spoke_again(seconds(start - silent_since)))
        decisions = self._signal(Signal.CONFIRMED, "speech over the agent", onset=start)
        if self.floor is not Floor.USER:
            self._over_agent.begin(start, self._agent)
        return decisions

    def _on_heard(self, heard: Heard) -> list[Decision]:
        if not self._hearing.text(heard.hypothesis):
            return []
        if self._over_agent.is_open:
            return self._take(self._over_agent.weigh(heard))
        if self._floor is Floor.USER and self._hearing.hypothesis:
            self._turn.heard(self._hearing.hypothesis)
        return []

    def _on_agent(self, agent: AgentFloor) -> list[Decision]:
        was_speaking = self._agent.is_speaking
        self._agent = agent
        self._expect()
        if agent.is_speaking:
            self._turn.stay_awake()
            if was_speaking:
                return []
            decisions = self._signal(Signal.AGENT_ON, "the agent has something to say")
            if self._floor is Floor.PAUSED:
                self._over_agent.begin(self._turn.start, agent)
            return decisions
        return self._agent_off("the agent has finished") if was_speaking else []

    def _agent_off(self, reason: str) -> list[Decision]:
        self._agent_off_at = self._hearing.now
        overlap = self._over_agent.end()
        decisions = self._signal(Signal.AGENT_OFF, reason)
        if overlap and self._floor is Floor.OPEN:
            # It had been left the floor, and what was said over it goes on behind its last word.
            if self.user_is_speaking:
                decisions += self._signal(Signal.CONFIRMED, "")
            else:
                step = Step(overlap.reason, kind=DecisionKind.BACKCHANNEL, closes=True)
                decisions += self._take([step])
        return decisions

    def _take(self, steps: Iterable[Step]) -> list[Decision]:
        """Do what a judge asks for."""
        decisions: list[Decision] = []
        for step in steps:
            if step.signal:
                decisions += self._signal(
                    step.signal, step.reason, onset=step.onset, figures=step.figures
                )
            if step.kind:
                decisions.append(self._decision(step.kind, step.reason, step.figures))
            if step.closes:
                self._forget()
        return decisions

    def _signal(
        self, signal: Signal, reason: str, *, onset: int = 0, figures: Figures | None = None
    ) -> list[Decision]:
        before = self._floor
        self._floor, act = TABLE[before, signal]
        if self._floor is not before:
            self._floor_since = self._hearing.now
            self._expect()
        if before is Floor.PAUSED and self._floor is Floor.USER and act is Act.RESUME:
            # Said over the agent's last word.
            self._begin_turn(self._hearing.silent_since)
        match act:
            case Act.NOTHING:
                return []
            case Act.BEGIN:
                self._begin_turn(onset)
                return []
            case Act.DUCK if not self._agent.is_speaking:
                return []
            case Act.DUCK:
                return [self._decision(DecisionKind.DUCK, reason, figures)]
            case Act.PAUSE:
                return [self._decision(DecisionKind.PAUSE, reason, figures)]
            case Act.RESUME:
                return [self._decision(DecisionKind.RESUME, reason, figures)]
            case Act.CUT:
                self._begin_turn(onset)
                return [self._decision(DecisionKind.BARGE_IN, reason, figures)]

    def _out_of_patience(self) -> list[Decision]:
        if self._hearing.now - self._floor_since < samples(self._settings.patience_s):
            return []
        if self._floor is Floor.WAITING:
            return self._signal(Signal.GO_ON, "has waited long")
        if self._floor is Floor.AGENT and not self._agent.is_speaking:
            return self._agent_off("has nothing to say")
        return []

    def _expect(self) -> None:
        self._profile = self._context().profile
        self._hearing.read_as(self._profile, is_turn=self._floor is Floor.USER)

    def _context(self) -> Context:
        context = expected(self._agent.said, self._expectation)
        settings = self._settings
        return replace(
            context,
            profile=settings.profile or context.profile,
            cut_off_cost_s=settings.cut_off_cost_s,
        )

    def _begin_turn(self, start_sample: int) -> None:
        is_over_agent = start_sample <= self._agent_off_at
        asks = AgentSpeech(tuple(self._agent.said.split())).asks
        self._turn.begin(start_sample, self._context(), may_be_nod=is_over_agent and not asks)

    def _forget(self) -> None:
        self._hearing.forget()
        self._begin_turn(self._hearing.now)

    def _decision(
        self, kind: DecisionKind, reason: str, figures: Figures | None = None
    ) -> Decision:
        if kind is DecisionKind.BACKCHANNEL and self._floor is Floor.WAITING:
            kind = DecisionKind.HOLD  # The agent was told to wait, and does not go on.
        return Decision(
            kind=kind,
            at_sample=self._hearing.now,
            speech_end_sample=self._hearing.silent_since,
            reason=reason,
            evidence=dict(figures or {}),
            words_from=self._turn.words_from,
        )
