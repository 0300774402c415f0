"""The turn policy: who holds the floor, from all that is heard. Pure.

What happens becomes a signal, the floor's table says what follows. Two judges stand behind it: one
says when the user's turn has ended, the other what speech over the agent means.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import SAMPLE_RATE, samples, seconds
from agent.turns.completeness import Completeness, completeness
from agent.turns.ending import FRESH_PARTIAL_S, Context, EndOfTurn, Judgement
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
)
from agent.turns.expectation import expected
from agent.turns.floor import TABLE, Act, Floor, Signal
from agent.turns.hotwords import Hotword, HotwordAction, Hotwords, HotwordSettings
from agent.turns.overlap import (
    AgentSpeech,
    Overlap,
    OverlapHop,
    OverlapKind,
    OverlapSettings,
    OverlapVerdict,
    OverlapWords,
)
from agent.vad.endpointer import Endpointer, SpeechStarted, SpeechStopped
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP

Figures = Mapping[str, float | str]

_HOLDING = {HotwordAction.WAIT, HotwordAction.GO_ON}
"""Said over the agent, they leave it the floor. With words behind them they begin a turn."""

_HOLDING_WORD = samples(2.0)
"""Such a phrase is over by then, also "just give me a second"."""


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """What the policy does besides weighing evidence."""

    profile: Profile | None = None
    """How the user speaks. None: a tool's or flow's word, else the agent's last words decide."""

    speculate: bool = True
    """Prepare answers unheard."""

    cut_off_cost_s: float | None = None
    """What one cut-off costs, in seconds of waiting. None: 5, less after a yes/no question, more
    in dictation."""

    hotwords: HotwordSettings = field(default_factory=HotwordSettings)

    wake_required: bool = False
    """Answer only after a wake phrase, and for `wake_s` after each answer."""

    wake_s: float = 8.0

    overlap: OverlapSettings = field(default_factory=OverlapSettings)

    overlap_end_s: float = 0.3
    """Silence that ends speech which left the agent the floor."""

    wordless_s: float = 0.8
    """Silence after speech without words, a cough, a neighbour: dropped, not answered."""

    give_up_s: float = 4.0
    """Silence after which a turn is decided on what is known, should recognition be stuck."""

    stale_s: float = 5.0
    """What sounds like speech and says nothing new for so long is noise: the turn is decided."""

    wait_s: float = 4.0
    """A turn that ends in "wait" is kept open for so long."""

    patience_s: float = 30.0
    """An agent told to wait goes on after this; one that says nothing has lost the floor."""


class FusedPolicy:
    """Decides who holds the floor. Pure: the same evidence gives the same decisions.

    Silence counts only after speech, so a quiet line never ends a turn; a turn without words is
    dropped, so noise is never answered. Every turn is answered or dropped with a reason.
    """

    def __init__(
        self, settings: PolicySettings | None = None, ending: EndOfTurn | None = None
    ) -> None:
        self._settings = settings or PolicySettings()
        self._ending = ending or EndOfTurn()
        self._hotwords = Hotwords(self._settings.hotwords)
        self._profile = self._settings.profile or Profile.SHORT
        readings = READINGS[self._profile]
        self._prefetch = Endpointer(readings.prefetch, SAMPLE_RATE, HOP)
        self._speech = Endpointer(readings.confirmation, SAMPLE_RATE, HOP)
        self._floor = Floor.OPEN
        self._floor_since = 0
        self._now = 0
        self._agent = AgentFloor(0, is_speaking=False)
        self._expectation: Expectation | None = None
        self._awake_until = 0
        self._overlap: OverlapVerdict | None = None
        self._overlap_onset = 0
        self._last_verdict = OverlapKind.UNDECIDED
        self._hypothesis: Hypothesis | None = None
        self._closed_utterance = -1
        self._seen_hotword: Hotword | None = None
        self._speculated: str | None = None
        self._turn_start = 0
        self._forget_turn()

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
        if self._floor is not Floor.USER or self.user_is_speaking or self._hypothesis is None:
            return None
        return self._ending.judge(self._silence_s)

    @property
    def user_is_speaking(self) -> bool:
        """Whether the user's speech is confirmed and has not stopped."""
        return self._speech.is_speech

    @property
    def wants_prosody(self) -> bool:
        """Whether a score of the voice asked for now can change when the turn ends."""
        if self._floor is not Floor.USER or self.user_is_speaking:
            return False
        return self._ending.wants_prosody(self._silence_s)

    def push(self, evidence: Evidence) -> list[Decision]:
        """Take one piece of evidence; return what follows from it, in order."""
        self._now = max(self._now, evidence.at_sample)
        match evidence:
            case SpeechProbability():
                return self._on_hop(evidence)
            case Heard():
                return self._on_heard(evidence.hypothesis)
            case Prosody():
                # A score of audio before the latest speech says nothing about its end.
                if evidence.at_sample >= self._speech.last_speech_end:
                    self._ending.sounded(evidence.probability)
                return []
            case AgentFloor():
                return self._on_agent(evidence)
            case Expectation():
                self._expectation = evidence
                self._expect()
                return []
            case EndRequested():
                self._end_requested = self._floor is Floor.USER
                return []
            case TurnLost():
                return self._signal(Signal.AGENT_OFF, "nothing was left to answer")

    # What is heard.

    def _on_hop(self, hop: SpeechProbability) -> list[Decision]:
        silent_since = self._silent_since
        noticed = self._prefetch.push(hop.probability, hop.at_sample)
        confirmed = self._speech.push(hop.probability, hop.at_sample)
        decisions: list[Decision] = []
        if isinstance(noticed, SpeechStarted):
            decisions += self._signal(Signal.NOTICED, "sound over the agent")
        elif isinstance(noticed, SpeechStopped):
            decisions += self._signal(Signal.FADED, "it was no speech")
        if isinstance(confirmed, SpeechStarted):
            decisions += self._on_speech(confirmed, silent_since)
        if self._overlap:
            overlap = OverlapHop(hop.at_sample, hop.probability, hop.level_dbfs, hop.echo_dbfs)
            decisions += self._judge_overlap(overlap)
        elif self._floor is Floor.USER:
            decisions += self._while_user()
        return decisions + self._out_of_patience()

    def _on_speech(self, started: SpeechStarted, silent_since: int) -> list[Decision]:
        if self._floor is Floor.USER:
            return self._on_speech_again(seconds(started.start_sample - silent_since))
        decisions = self._signal(
            Signal.CONFIRMED, "speech over the agent", onset=started.start_sample
        )
        if self.floor is not Floor.USER:
            self._begin_overlap(started.start_sample)
        return decisions

    def _on_speech_again(self, pause_s: float) -> list[Decision]:
        self._ending.resumed(pause_s)
        self._kept_open_until = 0
        if self._speculated is None:
            return []
        self._speculated = None
        return [self._decision(DecisionKind.RESUME, "the user speaks again")]

    def _on_heard(self, hypothesis: Hypothesis) -> list[Decision]:
        if hypothesis.utterance_id <= self._closed_utterance:
            return []  # It was under way while the turn was decided.
        if self._hypothesis is None or hypothesis.text != self._hypothesis.text:
            self._text_changed_at = self._now
            self._seen_hotword = None
        self._hypothesis = hypothesis
        if self._overlap:
            return self._judge_overlap(
                OverlapWords(self._now, hypothesis.words, hypothesis.end_sample)
            )
        if self._floor is Floor.USER:
            self._ending.heard(hypothesis)
        return []

    def _on_agent(self, agent: AgentFloor) -> list[Decision]:
        was_speaking = self._agent.is_speaking
        self._agent = agent
        self._expect()
        if agent.is_speaking:
            self._awake_until = self._now + samples(self._settings.wake_s)
            if was_speaking:
                return []
            decisions = self._signal(Signal.AGENT_ON, "the agent has something to say")
            if self._floor is Floor.PAUSED:
                self._begin_overlap(self._turn_start)
            return decisions
        if not was_speaking:
            return []
        overlap, self._overlap = self._overlap, None
        decisions = self._signal(Signal.AGENT_OFF, "the agent has finished")
        if overlap and self._floor is Floor.OPEN:
            # It had been left the floor, and what was said over it goes on behind its last word.
            if self.user_is_speaking:
                decisions += self._signal(Signal.CONFIRMED, "")
            else:
                decisions.append(self._close(DecisionKind.BACKCHANNEL, overlap.verdict.reason))
        return decisions

    # The user's turn.

    def _while_user(self) -> list[Decision]:
        if self.user_is_speaking:
            return self._while_speaking()
        text = self._settled_text()
        if text is None or self._now < self._kept_open_until:
            return []
        reading = completeness(text)
        if reading is Completeness.EMPTY:
            if self._silence_s < self._settings.wordless_s and not self._end_requested:
                return []
            return self._drop("speech without words")
        judgement = self._ending.judge(self._silence_s)
        if not judgement.commits and not judgement.speculates and not self._must_decide:
            return self._on_hotword(self._find_hotword(is_over=False))
        acted = self._on_hotword(self._find_hotword(is_over=True))
        if acted or self._now < self._kept_open_until:
            return acted
        if (judgement.commits and not self._is_vetoed) or self._must_decide:
            return self._commit(judgement)
        if self._settings.speculate and judgement.speculates and text != self._speculated:
            self._speculated = text
            reason = "has probably ended: the answer is prepared unheard"
            return [self._decision(DecisionKind.SPECULATE, reason, self._figures(judgement))]
        return []

    def _while_speaking(self) -> list[Decision]:
        latest = max(self._text_changed_at, self._turn_start)
        if self._now - latest < samples(self._settings.stale_s):
            return []
        if self._hypothesis and completeness(self._hypothesis.text) is not Completeness.EMPTY:
            return self._commit(self._ending.judge(0.0), "nothing new was said for long")
        # Whatever goes on may still become a turn.
        start = self._now
        return self._drop("noise") + self._signal(Signal.CONFIRMED, "", onset=start)

    def _commit(self, judgement: Judgement, reason: str | None = None) -> list[Decision]:
        if not self._is_addressed:
            return self._drop("not addressed to the agent: no wake phrase")
        decision = self._decision(
            DecisionKind.COMMIT, reason or _why(judgement), self._figures(judgement)
        )
        self._signal(Signal.ENDED, "")
        self._forget_turn()
        return [decision]

    def _drop(self, reason: str) -> list[Decision]:
        decision = self._close(DecisionKind.HOLD, reason)
        self._signal(Signal.DROPPED, reason)
        return [decision]

    @property
    def _must_decide(self) -> bool:
        """Whether nothing more is waited for."""
        return self._end_requested or self._is_stuck

    @property
    def _is_stuck(self) -> bool:
        return self._silence_s >= self._settings.give_up_s

    @property
    def _is_vetoed(self) -> bool:
        """Whether somebody may still be speaking, or the recogniser is still at work."""
        is_fresh = self._now - self._text_changed_at < samples(FRESH_PARTIAL_S)
        return self._prefetch.is_speech or (is_fresh and not self._covers_silence)

    @property
    def _covers_silence(self) -> bool:
        """Whether the text was made of all the speech and the beginning of the silence."""
        return self._hypothesis is not None and (
            self._hypothesis.end_sample > self._speech.last_speech_end
        )

    @property
    def _is_addressed(self) -> bool:
        return (
            not self._settings.wake_required
            or self._words_from > 0
            or self._turn_start <= self._awake_until
        )

    def _settled_text(self) -> str | None:
        """The text, once it covers all the speech; None before."""
        hypothesis = self._hypothesis
        if self._is_stuck:
            return hypothesis.text if hypothesis else ""
        if hypothesis is None or hypothesis.end_sample < self._speech.last_speech_end:
            return None
        return hypothesis.text

    # Words that act by themselves.

    def _find_hotword(self, *, is_over: bool) -> Hotword | None:
        """The hotword that acts; each only once.

        Args:
            is_over: Whether to look at the words as all there will be.
        """
        if self._hypothesis is None:
            return None
        at = self._now + samples(1.0) if is_over else self._now
        return self._hotwords.find(self._hypothesis.words, at, agent_speaking=False)

    def _on_hotword(self, hotword: Hotword | None) -> list[Decision]:
        if hotword is None or hotword == self._seen_hotword:
            return []
        self._seen_hotword = hotword
        reason = f'hotword "{hotword.phrase}"'
        is_all = hotword.first_word == 0
        match hotword.action:
            case HotwordAction.STOP:
                return self._drop(reason)
            case HotwordAction.WAIT if is_all:
                return self._drop(reason)
            case HotwordAction.WAIT:
                self._kept_open_until = self._now + samples(self._settings.wait_s)
            case HotwordAction.REPEAT:
                decision = self._close(DecisionKind.REPEAT, reason)
                self._signal(Signal.ENDED, reason)
                return [decision]
            case HotwordAction.DONE:
                return self._commit(self._ending.judge(self._silence_s), reason)
            case HotwordAction.WAKE if self._has_words_after(hotword):
                # A new turn begins behind it, never an end of turn.
                self._words_from = hotword.end_sample
            case HotwordAction.WAKE:
                self._awake_until = self._now + samples(self._settings.wake_s)
            case HotwordAction.GO_ON:
                pass  # Nobody waits: a request like any other.
        return []

    def _has_words_after(self, hotword: Hotword) -> bool:
        return self._hypothesis is not None and hotword.last_word + 1 < len(self._hypothesis.words)

    # Speech over the agent.

    def _begin_overlap(self, onset: int) -> None:
        self._last_verdict = OverlapKind.UNDECIDED
        if self._overlap:
            return  # More of the same: its verdict is taken anew.
        self._overlap_onset = onset
        agent = AgentSpeech(tuple(self._agent.said.split()), tuple(self._agent.unsaid.split()))
        self._overlap = OverlapVerdict(onset, self._now, agent, self._settings.overlap)

    def _judge_overlap(self, evidence: OverlapHop | OverlapWords) -> list[Decision]:
        assert self._overlap is not None
        hotword = self._overlap_hotword()
        if hotword is None and self._may_become_hotword:
            return []
        if hotword and hotword.action in _HOLDING and not self._has_words_after(hotword):
            return self._on_holding_word(hotword)
        if hotword and hotword.action is not HotwordAction.WAKE:
            self._overlap.push(hotword)
        verdict = self._overlap.push(evidence)
        if verdict.kind is OverlapKind.INTERRUPTION:
            return self._on_interruption(verdict)
        return self._on_left(verdict)

    def _overlap_hotword(self) -> Hotword | None:
        if self._hypothesis is None or self._now - self._overlap_onset > _HOLDING_WORD:
            return None
        at = self._now + samples(1.0)
        return self._hotwords.find(self._hypothesis.words, at, agent_speaking=True)

    @property
    def _may_become_hotword(self) -> bool:
        """Whether the user is in the middle of "hold on" or "go on"."""
        return (
            self.user_is_speaking
            and self._hypothesis is not None
            and bool(self._hypothesis.words)
            and self._now - self._overlap_onset <= _HOLDING_WORD
            and self._hotwords.may_become(self._hypothesis.words, _HOLDING)
        )

    def _on_holding_word(self, hotword: Hotword) -> list[Decision]:
        """Act on "wait" or "go on" once it is known that nothing follows: the agent is paused."""
        if self.user_is_speaking or self._silence_s < self._settings.overlap_end_s:
            return []
        reason = f'hotword "{hotword.phrase}"'
        self._overlap = None
        if hotword.action is HotwordAction.WAIT:
            return [*self._signal(Signal.WAIT, reason), self._close(DecisionKind.HOLD, reason)]
        decisions = self._signal(Signal.GO_ON, reason)
        return [*decisions, self._close(DecisionKind.BACKCHANNEL, reason)]

    def _on_interruption(self, verdict: Overlap) -> list[Decision]:
        self._overlap = None
        decisions = self._signal(
            Signal.TAKEN, verdict.reason, onset=self._overlap_onset, figures=verdict.figures
        )
        if self._hypothesis:
            self._ending.heard(self._hypothesis)
        return decisions

    def _on_left(self, verdict: Overlap) -> list[Decision]:
        decisions: list[Decision] = []
        if verdict.kind is not self._last_verdict:
            self._last_verdict = verdict.kind
            decisions += self._signal(Signal.LEFT, verdict.reason, figures=verdict.figures)
        if self._last_verdict is OverlapKind.UNDECIDED or self.user_is_speaking:
            return decisions
        if self._silence_s >= self._settings.overlap_end_s:
            self._overlap = None
            kind = DecisionKind.HOLD if self._floor is Floor.WAITING else DecisionKind.BACKCHANNEL
            decisions.append(self._close(kind, verdict.reason, verdict.figures))
        return decisions

    # The floor.

    def _signal(
        self, signal: Signal, reason: str, *, onset: int = 0, figures: Figures | None = None
    ) -> list[Decision]:
        before = self._floor
        self._floor, act = TABLE[before, signal]
        if self._floor is not before:
            self._floor_since = self._now
            self._expect()
        if before is Floor.PAUSED and self._floor is Floor.USER and act is Act.RESUME:
            # Said over the agent's last word.
            self._begin_turn(self._speech.last_speech_end)
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
        if self._now - self._floor_since < samples(self._settings.patience_s):
            return []
        if self._floor is Floor.WAITING:
            return self._signal(Signal.GO_ON, "has waited long")
        if self._floor is Floor.AGENT and not self._agent.is_speaking:
            return self._signal(Signal.AGENT_OFF, "has nothing to say")
        return []

    def _expect(self) -> None:
        """Read the posterior as the dialogue leads to; what is being said is heard to its end."""
        self._profile = self._context().profile
        readings = READINGS[self._profile]
        self._prefetch.adopt(readings.prefetch)
        # Confirmation opens a turn; once it is open, decision says whether it goes on.
        is_open = self._floor is Floor.USER
        self._speech.adopt(readings.decision if is_open else readings.confirmation)

    def _begin_turn(self, start_sample: int) -> None:
        self._speculated = None
        self._end_requested = False
        self._words_from = 0
        self._kept_open_until = 0
        self._turn_start = start_sample
        self._ending.begin(self._context())
        if self._hypothesis:
            self._ending.heard(self._hypothesis)

    def _forget_turn(self) -> None:
        """Nothing that was heard belongs to what comes next."""
        if self._hypothesis:
            self._closed_utterance = self._hypothesis.utterance_id
        self._hypothesis = None
        self._seen_hotword = None
        self._text_changed_at = self._now
        self._begin_turn(self._now)

    def _context(self) -> Context:
        context = expected(self._agent.said, self._expectation)
        settings = self._settings
        return replace(
            context,
            profile=settings.profile or context.profile,
            cut_off_cost_s=settings.cut_off_cost_s,
        )

    def _figures(self, judgement: Judgement) -> Figures:
        figures: dict[str, float | str] = {
            "silence_s": round(self._silence_s, 3),
            "log_odds": round(judgement.log_odds, 2),
            "speculate_at": round(judgement.speculate, 2),
            "commit_at": round(judgement.commit, 2),
        }
        return figures | {name: round(term, 2) for name, term in judgement.terms.items()}

    @property
    def _silent_since(self) -> int:
        return self._speech.last_speech_end

    @property
    def _silence_s(self) -> float:
        return seconds(self._now - self._silent_since)

    def _close(self, kind: DecisionKind, reason: str, figures: Figures | None = None) -> Decision:
        decision = self._decision(kind, reason, figures)
        self._forget_turn()
        return decision

    def _decision(
        self, kind: DecisionKind, reason: str, figures: Figures | None = None
    ) -> Decision:
        return Decision(
            kind=kind,
            at_sample=self._now,
            speech_end_sample=self._speech.last_speech_end,
            reason=reason,
            evidence=dict(figures or {}),
            words_from=self._words_from,
        )


def _why(judgement: Judgement) -> str:
    if judgement.log_odds < judgement.commit:
        return "reads finished, and has been silent for long"
    strongest = max(judgement.terms, key=lambda name: judgement.terms[name])
    return f"has ended with probability {judgement.probability:.2f}, above all by its {strongest}"
