"""Hops in, hypotheses out: the recogniser's gate."""

import asyncio
from concurrent.futures import Executor

from loguru import logger
from pipecat.frames.frames import Frame, InterimTranscriptionFrame, TTSSpeakFrame
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)
from pipecat.utils.time import time_now_iso8601

from agent.asr.hybrid.edge import Trouble
from agent.asr.hybrid.events import Correction, Final, Mode, Outcome, Side, Tentative
from agent.asr.hybrid.recogniser import HybridRecogniser, Sides
from agent.asr.hypothesis import Hypothesis, Recogniser
from agent.audio.chunk import SAMPLE_RATE, samples
from agent.audio.ring import PRE_ROLL_SAMPLES, PreRoll
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
from agent.vad.endpointer import Endpointer, SpeechStarted
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP

_LATE = "One moment, please."
_NOT_UNDERSTOOD = "Sorry, I didn't get that. Could you say it again?"

_ABANDON_AFTER = samples(1.0)
"""Silence that closes an utterance which was never confirmed as speech."""

_TELL_AFTER = samples(1.2)
"""Silence after speech that could not be recognised: the caller waits for an answer by now."""

_UNCONFIRMED_MAX = samples(2.0)
"""An utterance that noise keeps open is not worth recognising longer than this."""


class Recognition(FrameProcessor):
    """Gives a recogniser one utterance after the other, and the pipeline what it understood.

    The gate opens from 360 ms before speech was noticed and stays open until the turn is decided,
    so a pause inside a turn loses nothing. It opens anew at once: what is said while a final is
    still awaited belongs to the next utterance.
    """

    def __init__(
        self,
        recogniser: Recogniser | Sides,
        recorder: TurnRecorder,
        executor: Executor,
        *,
        is_private: bool = False,
    ) -> None:
        super().__init__()
        sides = recogniser if isinstance(recogniser, Sides) else Sides(recogniser)
        self._recogniser = HybridRecogniser(
            sides, executor, self._on_outcome, self._on_trouble, is_private=is_private
        )
        self._cloud_is_due = (
            sides.cloud is not None
            and sides.settings.mode is Mode.PREFER_CLOUD
            and sides.settings.cloud_below is None
        )
        self._is_private, self._is_secret = is_private, False
        self._recorder = recorder
        self._readings = READINGS[Profile.SHORT]
        self._prefetch = Endpointer(self._readings.prefetch, SAMPLE_RATE, HOP)
        self._confirmation = Endpointer(self._readings.confirmation, SAMPLE_RATE, HOP)
        self._ring = PreRoll(PRE_ROLL_SAMPLES)
        self._utterances = 0
        self._opened_at: int | None = None
        self._is_confirmed = False
        self._was_speech = False
        self._is_pausing = True
        self._is_settled = self._is_shown = False
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
        self._recogniser.is_private = value or self._is_secret

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
                self._adopt(frame.profile)
                return
            case PrivacyFrame():
                self.is_private = frame.is_private
            case ExpectationFrame():
                self._is_secret = frame.secret
                self.is_private = self._is_private
            case HopFrame():
                self._on_hop(frame)
        await self.push_frame(frame, direction)

    def _adopt(self, profile: Profile) -> None:
        self._readings = READINGS[profile]
        self._prefetch.adopt(self._readings.prefetch)
        self._confirmation.adopt(self._readings.confirmation)

    def _on_hop(self, frame: HopFrame) -> None:
        at = frame.chunk.end_sample
        self._ring.push(frame.chunk)
        noticed = self._prefetch.push(frame.probability, at)
        confirmed = self._confirmation.push(frame.probability, at)
        if self._opened_at is None:
            if isinstance(noticed, SpeechStarted) or isinstance(confirmed, SpeechStarted):
                self._open(at)
            return
        is_speech = self._is_speech
        is_quiet = frame.probability < self._readings.prefetch.off_probability
        self._recogniser.push(frame.chunk.pcm, is_speech, is_quiet=is_quiet)
        self._confirm()
        self._settle_at_pause(frame.probability, is_speech)
        silent = at - self._prefetch.last_speech_end
        is_lost = self._is_broken and self._is_confirmed
        if is_lost and not is_speech and silent > _TELL_AFTER:
            self._tell(Trouble.FAILED)
            self._close()
            # Told once; its final has nothing to add.
            self._was_confirmed = False
            return
        if not self._is_confirmed and self._is_noise(at):
            self._opened_at = None
            self._recogniser.drop()
            if self._is_shown:
                # It was no speech: what was shown of it goes away.
                self.create_task(self._show("", final=True))

    @property
    def _is_speech(self) -> bool:
        return self._prefetch.is_speech or self._confirmation.is_speech

    def _settle_at_pause(self, probability: float, is_speech: bool) -> None:
        """Recognise everything at the first hop of silence, and again where it was no silence yet.

        Most pauses turn out too short to matter and cost one decode; the one that ends the turn
        has its text that much earlier and its final for nothing. Only where more than silence
        came since, a voice trailing off, is it read once more when the pause counts.
        """
        if probability >= self._readings.gate:
            self._is_pausing = False
        elif not self._is_pausing:
            self._is_pausing = True
            self._recogniser.settle()
            self._is_settled = True
        elif probability >= self._readings.prefetch.off_probability:
            self._is_settled = False
        if self._was_speech and not is_speech and not self._is_settled:
            self._recogniser.settle()
        self._was_speech = is_speech

    def _open(self, at: int) -> None:
        pre_roll = self._ring.since(at - PRE_ROLL_SAMPLES)
        self._utterances += 1
        self._opened_at = pre_roll.start_sample
        self._is_confirmed = self._is_broken = self._has_words = False
        self._is_pausing = True
        self._is_settled = False
        self._was_speech = self._is_shown = False
        self._recogniser.open(self._utterances, pre_roll.start_sample)
        self._recogniser.push(pre_roll.pcm, False)
        self._confirm()

    def _confirm(self) -> None:
        if self._confirmation.is_speech and not self._is_confirmed:
            self._is_confirmed = True
            self._recogniser.confirm()

    def _is_noise(self, at: int) -> bool:
        assert self._opened_at is not None
        silent = at - self._prefetch.last_speech_end
        return silent > _ABANDON_AFTER or at - self._opened_at > _UNCONFIRMED_MAX

    async def _end(self) -> None:
        if self._opened_at is None:
            # Who ended a turn without a sound waits for its final all the same.
            await self.push_frame(HypothesisFrame(self._nothing()))
            return
        self._close()

    def _close(self) -> None:
        self._opened_at = None
        self._was_confirmed = self._is_confirmed and not self._has_words
        self._recogniser.finish()
        if self._is_speech:
            # Speech that began since the turn was decided opens no gate any more: it is open.
            self._open(self._ring.end_sample)

    def _nothing(self) -> Hypothesis:
        at = self._ring.end_sample
        return Hypothesis(self._utterances, "", (), True, at, at)

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
        is_open = self._opened_at is not None
        is_known = self._is_confirmed if is_open else self._was_confirmed
        if trouble is Trouble.BROKEN:
            self._is_broken = is_open
        elif is_known and not (trouble is Trouble.LATE and self._is_speech):
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
