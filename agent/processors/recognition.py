"""Hops in, hypotheses out: the recogniser behind its gate."""

import asyncio
from concurrent.futures import Executor

from loguru import logger
from pipecat.frames.frames import Frame, InterimTranscriptionFrame, TTSSpeakFrame
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessorSetup,
)
from pipecat.utils.time import time_now_iso8601

from agent.asr.gate import Feed, Open, Order, RecognitionGate, Step
from agent.asr.hybrid.edge import Trouble
from agent.asr.hybrid.events import Correction, Final, Mode, Outcome, Side, Tentative
from agent.asr.hybrid.recogniser import HybridRecogniser, Sides
from agent.asr.hypothesis import Hypothesis, Recogniser
from agent.audio.chunk import SAMPLE_RATE, samples
from agent.observe.record import TurnRecorder
from agent.processors.frames import (
    MORE_FOLLOWS,
    ClientEventFrame,
    CorrectionFrame,
    ExpectationFrame,
    HopFrame,
    HypothesisFrame,
    PrivacyFrame,
    ProfileFrame,
    UtteranceOverFrame,
)
from agent.stage import Stage

_LATE = "One moment, please."
_NOT_UNDERSTOOD = "Sorry, I didn't get that. Could you say it again?"

_TELL_AFTER = samples(1.2)
"""Silence after speech that could not be recognised: the caller waits for an answer by now."""


class Recognition(Stage):
    """Gives a recogniser one utterance after the other, and the pipeline what it understood.

    `agent.asr.gate` says where utterances begin and end.
    """

    def __init__(
        self,
        recogniser: Recogniser | Sides,
        recorder: TurnRecorder,
        executor: Executor,
        *,
        is_private: bool = False,
    ) -> None:
        super().__init__(enable_direct_mode=True)  # Waits for nothing: see `processors`.
        sides = recogniser if isinstance(recogniser, Sides) else Sides(recogniser)
        self._recogniser = HybridRecogniser(
            sides, executor, self._on_outcome, self._on_trouble, is_private=is_private
        )
        self._cloud_is_due = (
            sides.cloud is not None
            and sides.settings.mode is Mode.PREFER_CLOUD
            and sides.settings.cloud_below is None
        )
        self._is_private, self._is_asked_for = is_private, False
        self._recorder = recorder
        self._gate = RecognitionGate()
        self._is_shown = False
        self._was_confirmed = self._is_broken = self._has_words = False
        self._running: asyncio.Task[None] | None = None

    @property
    def waiting_s(self) -> float:
        """Seconds of speech that wait for the edge's thread."""
        return self._recogniser.waiting / SAMPLE_RATE

    @property
    def is_private(self) -> bool:
        """Whether speech stays on this machine, from now on."""
        return self._is_private

    @is_private.setter
    def is_private(self, value: bool) -> None:
        self._is_private = value
        self._recogniser.is_private = value or self._is_asked_for

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Start recognising."""
        await super().setup(setup)
        self._running = self.create_task(self._recogniser.run())

    async def cleanup(self) -> None:
        """Stop recognising."""
        await super().cleanup()
        if self._running:
            await self.cancel_task(self._running)
            self._running = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Feed hops; close the utterance when the turn is decided."""
        await super().process_frame(frame, direction)
        match frame:
            case UtteranceOverFrame():
                await self._end()
                return
            case ProfileFrame():
                self._gate.adopt(frame.profile)
                return
            case PrivacyFrame():
                self.is_private = frame.is_private
            case ExpectationFrame():
                self._is_asked_for = frame.private
                self.is_private = self._is_private
            case HopFrame():
                self._on_hop(frame)
        await self.push_frame(frame, direction)

    def _on_hop(self, frame: HopFrame) -> None:
        orders = self._gate.push(frame.chunk, frame.probability)
        self._obey(orders)
        gate = self._gate
        is_lost = self._is_broken and gate.is_open and gate.is_confirmed
        if is_lost and not gate.is_speech and gate.silence > _TELL_AFTER:
            self._tell(Trouble.FAILED)
            self._close()
            # Told once; its final has nothing to add.
            self._was_confirmed = False

    def _obey(self, orders: list[Order]) -> None:
        recogniser = self._recogniser
        for order in orders:
            match order:
                case Open(utterance_id, pre_roll):
                    self._is_broken = self._has_words = self._is_shown = False
                    recogniser.open(utterance_id, pre_roll.start_sample)
                    recogniser.push(pre_roll.pcm, False)
                case Feed(pcm, is_speech, is_quiet):
                    recogniser.push(pcm, is_speech, is_quiet=is_quiet)
                case Step.CONFIRM:
                    recogniser.confirm()
                case Step.SETTLE:
                    recogniser.settle()
                case Step.FINISH:
                    recogniser.finish()
                case Step.DROP:
                    recogniser.drop()
                    if self._is_shown:
                        # It was no speech: what was shown of it goes away.
                        self.create_task(self._show("", final=True))

    async def _end(self) -> None:
        if not self._gate.is_open:
            # Who ended a turn without a sound waits for its final all the same.
            await self.push_frame(HypothesisFrame(self._nothing()))
            return
        self._close()

    def _close(self) -> None:
        self._was_confirmed = self._gate.is_confirmed and not self._has_words
        self._obey(self._gate.close())

    def _nothing(self) -> Hypothesis:
        at = self._gate.end_sample
        return Hypothesis(self._gate.utterance_id, "", (), True, at, at)

    async def _on_outcome(self, outcome: Outcome) -> None:
        match outcome:
            case Tentative(hypothesis, _, is_complete):
                # The turn can be answered by these, whatever fails from here on.
                self._has_words = self._has_words or bool(hypothesis.text)
                if is_complete:
                    # What the final will say: finishing settled speech costs nothing.
                    self._recorder.draft("recognised")
                await self._push_tentative(hypothesis)
            case Final(hypothesis, side, reason):
                logger.debug("utterance {}: {}, {}", hypothesis.utterance_id, side, reason)
                if side is Side.EDGE and self._cloud_is_due and not self._recogniser.is_private:
                    self._recorder.failed_over("recogniser")
                await self.push_frame(HypothesisFrame(hypothesis=hypothesis))
            case Correction(hypothesis, replaced):
                await self.push_frame(CorrectionFrame(hypothesis, replaced, hypothesis.text))

    def _on_trouble(self, trouble: Trouble) -> None:
        """Tell the caller what silence would not: that they were not understood, or not yet."""
        is_open = self._gate.is_open
        is_known = self._gate.is_confirmed if is_open else self._was_confirmed
        if trouble is Trouble.BROKEN:
            self._is_broken = is_open
        elif is_known and not (trouble is Trouble.LATE and self._gate.is_speech):
            self._tell(trouble)

    def _tell(self, trouble: Trouble) -> None:
        self._is_broken = False
        self._recorder.failed_over("recogniser")
        text = _LATE if trouble is Trouble.LATE else _NOT_UNDERSTOOD
        line = TTSSpeakFrame(text)
        if trouble is Trouble.LATE:
            line.metadata[MORE_FOLLOWS] = True
        self.create_task(self.push_frame(line))

    async def _push_tentative(self, hypothesis: Hypothesis) -> None:
        await self.push_frame(HypothesisFrame(hypothesis=hypothesis))
        text = self._recorder.hidden.shown(hypothesis.text)
        await self.push_frame(
            InterimTranscriptionFrame(text=text, user_id="user", timestamp=time_now_iso8601())
        )
        # Sound without words is nothing to show, unless words that were shown have gone.
        if text or self._is_shown:
            await self._show(text, final=False)

    async def _show(self, text: str, *, final: bool) -> None:
        self._is_shown = bool(text)
        event: dict[str, object] = {
            "type": "transcript",
            "role": "user",
            "text": text,
            "final": final,
            "turn": len(self._recorder.turns),
        }
        await self.push_frame(ClientEventFrame(event=event))
