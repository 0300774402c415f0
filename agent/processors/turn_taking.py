"""Posterior, hypotheses and prosody in; decisions about the floor out."""

import asyncio
from concurrent.futures import Executor

import numpy as np
from loguru import logger
from pipecat.frames.frames import (
    Frame,
    InterruptionFrame,
    TranscriptionFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import FrameDirection
from pipecat.utils.time import time_now_iso8601

from agent.asr.hypothesis import Hypothesis
from agent.audio.audible import end_of_sound
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.audio.ring import PreRoll
from agent.observe.record import HopRecord, TurnRecorder
from agent.processors.frames import (
    AgentSpeechFrame,
    ClientEventFrame,
    CorrectionFrame,
    EndRequestedFrame,
    ExpectationFrame,
    HopFrame,
    HypothesisFrame,
    ProfileFrame,
    TurnDecisionFrame,
    UtteranceOverFrame,
    WordingFrame,
    WordsSoFarFrame,
)
from agent.stage import Stage
from agent.turns.completeness import without_mark
from agent.turns.events import (
    AgentFloor,
    Decision,
    DecisionKind,
    EndRequested,
    Evidence,
    Expectation,
    Explains,
    Heard,
    Prosody,
    SpeechProbability,
    TurnLost,
    TurnPolicy,
    Wording,
)
from agent.turns.prosody import ProsodySchedule
from agent.turns.smart_turn import WINDOW_S, SmartTurn
from agent.vad.readings import Profile

_EVIDENCE_EVERY = samples(0.128)
"""For the page: eight a second while a silence is judged."""

_CLOSING = {
    DecisionKind.COMMIT,
    DecisionKind.HOLD,
    DecisionKind.BACKCHANNEL,
    DecisionKind.REPEAT,
}

_ON_THE_AGENT = {
    DecisionKind.PAUSE,
    DecisionKind.RESUME,
    DecisionKind.BACKCHANNEL,
    DecisionKind.BARGE_IN,
}

_FINAL_WITHIN = samples(1.5)
"""After a commit. The recogniser has settled by then; one that still owes its final is stuck, and
the turn is answered as it was last heard."""

_SOUND_BEFORE = samples(1.5)
"""Audio that tells how loud the speech was whose end is looked for."""

_KEPT = samples(8.0)
"""Audio kept: that, and the longest silence behind it until the turn's final."""

_NOTHING_SAID = "I haven't said anything yet."


class TurnTaking(Stage):
    """Tells the policy what happens, and the pipeline what it decides."""

    def __init__(
        self,
        policy: TurnPolicy,
        smart_turn: SmartTurn,
        recorder: TurnRecorder,
        executor: Executor,
        *,
        shows_evidence: bool = True,
    ) -> None:
        super().__init__()
        self._policy = policy
        # Asked for once: to look whether a protocol is met takes as long as a decision.
        self._explaining = policy if isinstance(policy, Explains) else None
        self._smart_turn = smart_turn
        self._recorder = recorder
        self._executor = executor
        self._audio = PreRoll(_KEPT)
        self._clock = 0
        self._speech_start: int | None = None
        self._scores = ProsodySchedule()
        self._early_score: Prosody | None = None
        self._shows_evidence = shows_evidence
        self._next_evidence = 0
        self._profile = Profile.SHORT
        self._scoring: asyncio.Task[None] | None = None
        self._hypothesis: Hypothesis | None = None
        self._committed: Decision | None = None
        self._answered: tuple[int, Decision, str] | None = None
        """Utterance, decision and words of the last turn that was answered."""
        self._agent = AgentSpeechFrame(is_speaking=False)
        self._last_said = ""
        self._read_ahead = ""
        self._agent_waits = False
        self._floor: tuple[str, str] = ("silent", "silent")

    async def cleanup(self) -> None:
        """Stop scoring."""
        await super().cleanup()
        if self._scoring:
            await self.cancel_task(self._scoring)
            self._scoring = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Turn hops and hypotheses into evidence, here where their way ends; pass on the rest."""
        await super().process_frame(frame, direction)
        match frame:
            case HopFrame():
                await self._on_hop(frame)
                return
            case HypothesisFrame():
                await self._on_hypothesis(frame.hypothesis)
                return
            case CorrectionFrame():
                await self._on_correction(frame)
                return
            case AgentSpeechFrame():
                await self._on_agent(frame)
                return
            case WordingFrame():
                await self._tell(Wording(self._clock, frame.text, frame.probability))
                return
            case EndRequestedFrame():
                await self._tell(EndRequested(self._clock, discard=frame.discard))
            case ExpectationFrame():
                await self._tell(Expectation(self._clock, frame.profile, frame.digits))
            case InterruptionFrame() if not self._agent.is_speaking:
                await self._tell(TurnLost(self._clock))
        await self.push_frame(frame, direction)

    async def _on_hop(self, frame: HopFrame) -> None:
        self._audio.push(frame.chunk)
        self._clock = frame.chunk.end_sample
        was_speaking = self._policy.user_is_speaking
        await self._tell(
            SpeechProbability(
                self._clock,
                frame.probability,
                frame.level_dbfs,
                frame.echo_dbfs,
                frame.behind,
                frame.caller_dbfs,
                frame.behind_dbfs,
            )
        )
        await self._explain(frame)
        is_speaking = self._policy.user_is_speaking
        if is_speaking != was_speaking:
            await self._on_floor_change(is_speaking)
        await self._score_prosody(frame.probability)
        if self._committed and self._clock - self._committed.at_sample > _FINAL_WITHIN:
            await self._on_final(self._hypothesis)

    async def _explain(self, hop: HopFrame) -> None:
        """Show what is being weighed, to those who look."""
        policy = self._explaining
        if policy is None:
            return
        judgement = policy.judgement
        if watch := self._recorder.watch_hops:
            odds, commit = (judgement.log_odds, judgement.commit) if judgement else (None, None)
            floor = policy.floor.value
            watch(HopRecord(self._clock, hop.probability, floor, odds, commit, hop.behind))
        if judgement is None or not self._shows_evidence or self._clock < self._next_evidence:
            return
        self._next_evidence = self._clock + _EVIDENCE_EVERY
        event: dict[str, object] = {
            "type": "evidence",
            "at_s": round(self._clock / SAMPLE_RATE, 3),
            "log_odds": round(judgement.log_odds, 2),
            "speculate_at": round(judgement.speculate, 2),
            "commit_at": round(judgement.commit, 2),
            "terms": {name: round(term, 2) for name, term in judgement.terms.items()},
        }
        await self.push_frame(ClientEventFrame(event=event))

    async def _on_floor_change(self, is_speaking: bool) -> None:
        if is_speaking and self._speech_start is None:
            self._speech_start = self._clock
        await self._show_floor()

    async def _on_agent(self, agent: AgentSpeechFrame) -> None:
        self._agent = agent
        if agent.is_speaking:
            self._last_said = f"{agent.said} {agent.unsaid}".strip()
        await self._tell(AgentFloor(self._clock, agent.is_speaking, agent.said, agent.unsaid))
        await self._show_floor()

    async def _on_hypothesis(self, hypothesis: Hypothesis) -> None:
        if watch := self._recorder.watch_words:
            watch(hypothesis)
        if hypothesis.is_final:
            await self._on_final(hypothesis)
            return
        self._hypothesis = hypothesis
        await self._tell(Heard(self._clock, hypothesis))
        await self._have_read(hypothesis)

    async def _have_read(self, hypothesis: Hypothesis) -> None:
        """Let the language model read what is new of the user's turn."""
        pauses = self._explaining is not None and self._explaining.judgement is not None
        text = without_mark(self._recorder.hidden.hide(hypothesis.text))
        if self._agent.is_speaking or not (pauses or self._policy.user_is_speaking):
            return
        if text and text != self._read_ahead:
            self._read_ahead = text
            await self.push_frame(WordsSoFarFrame(text=text))

    async def _on_final(self, hypothesis: Hypothesis | None) -> None:
        tentative, self._hypothesis = self._hypothesis, None
        committed, self._committed = self._committed, None
        if committed is None:
            return
        # A turn is committed on words; a final without any is a recogniser that has failed.
        if text := _words_of(hypothesis, committed) or _words_of(tentative, committed):
            await self._answer(text, committed)
            if heard := hypothesis or tentative:
                self._answered = (heard.utterance_id, committed, text)
            return
        self._speech_start = None
        await self._show_final("", turn=len(self._recorder.turns))
        await self._tell(TurnLost(self._clock))

    async def _on_correction(self, correction: CorrectionFrame) -> None:
        """Tell the better words of the turn that was answered; no other turn is remembered."""
        if self._answered is None or self._answered[0] != correction.hypothesis.utterance_id:
            return
        number, decision, text = self._answered
        better = _words_of(correction.hypothesis, decision)
        if not better or better == text:
            return
        self._answered = (number, decision, better)
        self._recorder.correct(better)
        await self.push_frame(CorrectionFrame(correction.hypothesis, replaced=text, text=better))
        event: dict[str, object] = {
            "type": "correction",
            "text": better,
            "replaced": text,
            "turn": self._recorder.current.turn,
        }
        await self.push_frame(ClientEventFrame(event=event))

    async def _tell(self, evidence: Evidence) -> None:
        for decision in self._policy.push(evidence):
            await self._announce(decision)
        if self._explaining and self._explaining.profile is not self._profile:
            self._profile = self._explaining.profile
            self._scores.adopt(self._profile)
            await self.push_frame(ProfileFrame(self._profile), FrameDirection.UPSTREAM)

    async def _announce(self, decision: Decision) -> None:
        text = self._recorder.hidden.hide(_words_of(self._hypothesis, decision))
        logger.debug("turn decision {}: {}", decision.kind.value, decision.reason)
        event: dict[str, object] = {
            "type": "decision",
            "kind": decision.kind.value,
            "at_s": round(decision.at_sample / SAMPLE_RATE, 3),
            "reason": decision.reason,
            "evidence": decision.evidence,
        }
        self._recorder.decisions.append(event)
        await self.push_frame(ClientEventFrame(event=event))
        if decision.kind is DecisionKind.SPECULATE:
            self._recorder.draft("speculated")
        await self.push_frame(TurnDecisionFrame(decision=decision, text=text))
        if decision.kind is DecisionKind.BARGE_IN:
            await self.broadcast_interruption()
        if decision.kind is DecisionKind.REPEAT:
            await self.push_frame(TTSSpeakFrame(self._last_said or _NOTHING_SAID))
        if decision.kind in _CLOSING:
            self._scores.stop()
            self._read_ahead = ""
            self._committed = decision if decision.kind is DecisionKind.COMMIT else None
            await self.push_frame(UtteranceOverFrame(), FrameDirection.UPSTREAM)
            if self._committed is None:
                self._speech_start = None
                # Nothing was said to us: what was shown of it goes away.
                await self._show_final("", turn=len(self._recorder.turns))
        if decision.kind in _ON_THE_AGENT:
            self._agent_waits = decision.kind is DecisionKind.PAUSE
            await self._show_floor()

    async def _answer(self, text: str, decision: Decision) -> None:
        """The turn is over and its final text is here: hand it to the conversation."""
        text = self._recorder.hidden.hide(text)
        self._recorder.begin(
            text=text,
            start=self._speech_start,
            end=self._end_of_sound(decision.speech_end_sample),
            decision={"kind": decision.kind.value, "reason": decision.reason, **decision.evidence},
        )
        self._speech_start = None
        await self._show_final(text, turn=self._recorder.current.turn)
        await self.push_frame(
            TranscriptionFrame(
                text=text, user_id="user", timestamp=time_now_iso8601(), finalized=True
            )
        )
        await self._show_floor(thinking=True)

    def _end_of_sound(self, detected: int) -> int:
        """Where the user's voice died away, for those who measure how long the answer took."""
        return end_of_sound(self._audio.since(detected - _SOUND_BEFORE), detected)

    async def _show_final(self, text: str, *, turn: int) -> None:
        event: dict[str, object] = {
            "type": "transcript",
            "role": "user",
            "text": text,
            "final": True,
            "turn": turn,
        }
        await self.push_frame(ClientEventFrame(event=event))

    async def _score_prosody(self, probability: float) -> None:
        """Ask again, in the background, whether the turn sounds finished."""
        is_speaking = self._policy.user_is_speaking
        if not is_speaking:
            early, self._early_score = self._early_score, None
            if early and self._scores.is_early_valid:
                await self._tell(early)
        is_idle = self._scoring is None or self._scoring.done()
        is_free = is_idle and not (is_speaking and self._agent.is_speaking)
        due = self._scores.hop(self._clock, probability, is_speaking=is_speaking, is_free=is_free)
        if due is None:
            return
        if not is_speaking and not self._policy.wants_prosody:
            self._scores.stop()
            return
        if due.silence:
            self._early_score = None
        pcm = self._audio.since(self._clock - samples(WINDOW_S)).pcm
        pcm = np.concatenate([pcm, np.zeros(due.silence, np.int16)])
        at_sample = self._clock + due.silence
        self._scoring = self.create_task(self._score(pcm, at_sample, is_early=due.silence > 0))

    async def _score(self, pcm: Int16Array, at_sample: int, *, is_early: bool) -> None:
        loop = asyncio.get_running_loop()
        probability = await loop.run_in_executor(self._executor, self._smart_turn.score, pcm)
        score = Prosody(at_sample, probability)
        if is_early and self._policy.user_is_speaking:
            # Told once the silence counts, unless speech goes on before.
            self._early_score = score
        elif not is_early or self._scores.is_early_valid:
            await self._tell(score)

    async def _show_floor(self, *, thinking: bool = False) -> None:
        user = "speaking" if self._policy.user_is_speaking else "silent"
        agent = "speaking" if self._agent.is_speaking else "thinking" if thinking else "silent"
        if self._agent.is_speaking and self._agent_waits:
            agent = "paused"
        if (user, agent) == self._floor:
            return
        self._floor = (user, agent)
        event: dict[str, object] = {
            "type": "floor",
            "user": user,
            "agent": agent,
            "at_s": round(self._clock / SAMPLE_RATE, 3),
        }
        await self.push_frame(ClientEventFrame(event=event))


def _words_of(hypothesis: Hypothesis | None, decision: Decision) -> str:
    """The words that belong to the turn `decision` is about."""
    if hypothesis is None:
        return ""
    if not decision.words_from:
        return hypothesis.text
    return " ".join(
        word.text for word in hypothesis.words if word.start_sample >= decision.words_from
    )
