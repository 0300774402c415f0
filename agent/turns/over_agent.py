"""Speech over the agent, from its onset to a verdict and to its end. Pure."""

from agent.audio.chunk import samples
from agent.turns.events import AgentFloor, DecisionKind, Heard, SpeechProbability
from agent.turns.floor import Signal
from agent.turns.hearing import Hearing
from agent.turns.hotwords import Hotword, HotwordAction, Hotwords
from agent.turns.overlap import Overlap, OverlapKind, OverlapVerdict
from agent.turns.overlap_evidence import AgentSpeech, OverlapHop, OverlapWords
from agent.turns.policy_settings import PolicySettings
from agent.turns.step import Step

_HOLDING = {HotwordAction.WAIT, HotwordAction.GO_ON}
"""Said over the agent, they leave it the floor. With words behind them they begin a turn."""

_HOLDING_WORD = samples(2.0)
"""Such a phrase is over by then, also "just give me a second"."""


_SURE = 0.7
"""Confidence of a half-spoken word that says what it is going to be: "give me a second", or not."""


class OverAgent:
    """Says what is to become of the floor while the user speaks over the agent. Pure."""

    def __init__(self, hearing: Hearing, hotwords: Hotwords, settings: PolicySettings) -> None:
        self._hearing = hearing
        self._hotwords = hotwords
        self._settings = settings
        self._verdict: OverlapVerdict | None = None
        self._onset = 0
        self._last = OverlapKind.UNDECIDED
        self._echoes = 0

    @property
    def is_open(self) -> bool:
        """Whether speech over the agent is being judged."""
        return self._verdict is not None

    def begin(self, onset: int, agent: AgentFloor) -> None:
        """Speech over the agent is confirmed, that began at sample `onset`."""
        self._last = OverlapKind.UNDECIDED
        if self._verdict:
            return  # More of the same: its verdict is taken anew.
        self._onset = onset
        speech = AgentSpeech(tuple(agent.said.split()), tuple(agent.unsaid.split()))
        self._verdict = OverlapVerdict(
            onset, self._hearing.now, speech, self._settings.overlap, self._echoes
        )

    def end(self) -> Overlap | None:
        """The agent has finished: return the verdict as it stood, if there was one."""
        verdict, self._verdict = self._verdict, None
        self._echoes = 0
        return verdict.verdict if verdict else None

    def weigh(self, evidence: SpeechProbability | Heard) -> list[Step]:
        """Judge what is known together with `evidence`."""
        assert self._verdict is not None
        hotword = self._hotword()
        if hotword is None and self._may_become_hotword:
            return []
        if hotword and hotword.action in _HOLDING and not self._hearing.says_more_than(hotword):
            return self._on_holding_word(hotword)
        if hotword and hotword.action is not HotwordAction.WAKE:
            self._verdict.push(hotword)
        verdict = self._verdict.push(self._as_overlap(evidence))
        if verdict.kind is OverlapKind.INTERRUPTION:
            self._verdict = None
            step = Step(verdict.reason, Signal.TAKEN, onset=self._onset, figures=verdict.figures)
            return [step]
        return self._on_left(verdict)

    def _as_overlap(self, evidence: SpeechProbability | Heard) -> OverlapHop | OverlapWords:
        if isinstance(evidence, SpeechProbability):
            return OverlapHop(
                evidence.at_sample, evidence.probability, evidence.level_dbfs, evidence.echo_dbfs
            )
        heard = evidence.hypothesis
        return OverlapWords(self._hearing.now, heard.words, heard.end_sample, heard.unfinished)

    def _hotword(self) -> Hotword | None:
        hearing = self._hearing
        if hearing.hypothesis is None or hearing.now - self._onset > _HOLDING_WORD:
            return None
        at = hearing.now + samples(1.0)
        return self._hotwords.find(hearing.hypothesis.words, at, agent_speaking=True)

    @property
    def _may_become_hotword(self) -> bool:
        """Whether the user is in the middle of "hold on" or "go on"."""
        hearing, heard = self._hearing, self._hearing.hypothesis
        if heard is None or not heard.words or not hearing.is_speaking:
            return False
        words, last = heard.words, heard.unfinished
        if last and last.confidence >= _SURE:
            words = (*words, last)
        is_soon = hearing.now - self._onset <= _HOLDING_WORD
        return is_soon and self._hotwords.may_become(words, _HOLDING)

    def _on_holding_word(self, hotword: Hotword) -> list[Step]:
        """Act on "wait" or "go on" once it is known that nothing follows: the agent is paused."""
        if not self._has_ended:
            return []
        reason = f'hotword "{hotword.phrase}"'
        self._verdict = None
        if hotword.action is HotwordAction.WAIT:
            return [Step(reason, Signal.WAIT, DecisionKind.HOLD, closes=True)]
        return [Step(reason, Signal.GO_ON, DecisionKind.BACKCHANNEL, closes=True)]

    def _on_left(self, verdict: Overlap) -> list[Step]:
        steps: list[Step] = []
        if verdict.kind is not self._last:
            self._last = verdict.kind
            self._echoes = self._echoes + 1 if verdict.kind is OverlapKind.ECHO else 0
            steps.append(Step(verdict.reason, Signal.LEFT, figures=verdict.figures))
        if self._last is not OverlapKind.UNDECIDED and self._has_ended:
            self._verdict = None
            steps.append(
                Step(
                    verdict.reason,
                    kind=DecisionKind.BACKCHANNEL,
                    closes=True,
                    figures=verdict.figures,
                )
            )
        return steps

    @property
    def _has_ended(self) -> bool:
        hearing, settings = self._hearing, self._settings
        if hearing.is_speaking or hearing.silence_s < settings.overlap_end_s:
            return False
        # The agent goes on meanwhile: only what was said would be lost by not waiting for it.
        return hearing.covers_speech or hearing.silence_s >= settings.give_up_s
