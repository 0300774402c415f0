"""Hops in, hypotheses out: the recogniser's gate and its worker thread."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from itertools import groupby
from operator import itemgetter

import numpy as np
from pipecat.frames.frames import Frame, InterimTranscriptionFrame
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)
from pipecat.utils.time import time_now_iso8601

from agent.asr.hypothesis import Hypothesis, Recogniser
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.audio.ring import PRE_ROLL_SAMPLES, PreRoll
from agent.observe.record import TurnRecorder
from agent.processors.frames import (
    ClientEventFrame,
    HopFrame,
    HypothesisFrame,
    UtteranceOverFrame,
)
from agent.vad.endpointer import Endpointer, EndpointerSettings, SpeechStarted
from agent.vad.silero import HOP

PREFETCH = EndpointerSettings(
    on_probability=0.4, off_probability=0.2, min_speech_s=0.032, min_silence_s=0.096
)
"""Opens the gate: early, since what it lets in by mistake costs a decode and nothing else."""

_ABANDON_AFTER = samples(1.0)
"""Silence that closes an utterance which was never confirmed as speech."""

_UNCONFIRMED_MAX = samples(2.0)
"""An utterance that noise keeps open is not worth recognising longer than this."""


class Recognition(FrameProcessor):
    """Feeds one recogniser, one utterance at a time, on one worker thread.

    The gate opens from 360 ms before speech was noticed and stays open until the turn is
    decided, so a pause inside a turn loses nothing. When the worker falls behind, the audio
    waits here (32 KB a second) and is recognised in one step.
    """

    def __init__(
        self,
        recogniser: Recogniser,
        confirmation: EndpointerSettings,
        recorder: TurnRecorder,
        executor: Executor,
    ) -> None:
        super().__init__()
        self._recogniser = recogniser
        self._recorder = recorder
        self._executor = executor
        self._prefetch = Endpointer(PREFETCH, SAMPLE_RATE, HOP)
        self._confirmation = Endpointer(confirmation, SAMPLE_RATE, HOP)
        self._ring = PreRoll(PRE_ROLL_SAMPLES)
        self._utterances = 0
        self._opened_at: int | None = None
        self._is_confirmed = False
        self._waiting: list[tuple[Int16Array, bool]] = []
        self._off_probability = confirmation.off_probability
        self._is_pausing = True
        self._settle = self._finish = False
        self._wake = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Start the worker."""
        await super().setup(setup)
        self._worker = self.create_task(self._work())

    async def cleanup(self) -> None:
        """Stop the worker."""
        await super().cleanup()
        if self._worker:
            await self.cancel_task(self._worker)
            self._worker = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Feed hops; close the utterance when the turn is decided."""
        await super().process_frame(frame, direction)
        if isinstance(frame, UtteranceOverFrame):
            self._finish = True
            self._wake.set()
            return
        if isinstance(frame, HopFrame):
            self._on_hop(frame)
        await self.push_frame(frame, direction)

    def _on_hop(self, frame: HopFrame) -> None:
        at = frame.chunk.end_sample
        self._ring.push(frame.chunk)
        noticed = self._prefetch.push(frame.probability, at)
        confirmed = self._confirmation.push(frame.probability, at)
        if self._opened_at is None:
            if isinstance(noticed, SpeechStarted) or isinstance(confirmed, SpeechStarted):
                self._open(at)
            return
        is_speech = self._prefetch.is_speech or self._confirmation.is_speech
        self._waiting.append((frame.chunk.pcm, is_speech))
        self._is_confirmed |= self._confirmation.is_speech
        self._settle_at_pause(frame.probability)
        if not self._is_confirmed and self._is_noise(at):
            self._close()
        self._wake.set()

    def _settle_at_pause(self, probability: float) -> None:
        """Recognise everything at the first hop of silence.

        Most pauses turn out too short to matter and cost one decode; the one that ends the turn
        has its text that much earlier.
        """
        if probability >= self._off_probability:
            self._is_pausing = False
        elif not self._is_pausing:
            self._is_pausing = self._settle = True

    def _open(self, at: int) -> None:
        pre_roll = self._ring.since(at - PRE_ROLL_SAMPLES)
        self._utterances += 1
        self._opened_at = pre_roll.start_sample
        self._is_confirmed = self._confirmation.is_speech
        self._is_pausing = True
        self._settle = self._finish = False
        self._waiting = [(pre_roll.pcm, False)]
        self._recogniser.start(self._utterances, pre_roll.start_sample)

    def _is_noise(self, at: int) -> bool:
        assert self._opened_at is not None
        silent = at - self._prefetch.last_speech_end
        return silent > _ABANDON_AFTER or at - self._opened_at > _UNCONFIRMED_MAX

    def _close(self) -> None:
        self._opened_at = None
        self._waiting = []
        self._settle = self._finish = False

    async def _work(self) -> None:
        while True:
            await self._wake.wait()
            self._wake.clear()
            if self._opened_at is not None:
                await self._step(self._utterances)

    async def _step(self, utterance: int) -> None:
        stretches = [
            (np.concatenate([pcm for pcm, _ in group]), is_speech)
            for is_speech, group in groupby(self._waiting, key=itemgetter(1))
        ]
        self._waiting = []
        settle, finish = self._settle, self._finish
        self._settle = False
        hypothesis = await self._run(lambda: self._recognise(stretches, settle, finish))
        if utterance != self._utterances or self._opened_at is None or hypothesis is None:
            return
        if hypothesis.is_final:
            self._close()
        if settle:
            # What the final will say: finishing settled speech costs nothing.
            self._recorder.draft("recognised")
        await self._push(hypothesis)

    def _recognise(
        self, stretches: list[tuple[Int16Array, bool]], settle: bool, finish: bool
    ) -> Hypothesis | None:
        hypothesis = None
        for pcm, is_speech in stretches:
            hypothesis = self._recogniser.push(pcm, is_speech) or hypothesis
        if finish:
            return self._recogniser.finish()
        return self._recogniser.settle() if settle else hypothesis

    async def _run(self, step: Callable[[], Hypothesis | None]) -> Hypothesis | None:
        return await asyncio.get_running_loop().run_in_executor(self._executor, step)

    async def _push(self, hypothesis: Hypothesis) -> None:
        await self.push_frame(HypothesisFrame(hypothesis=hypothesis))
        if hypothesis.is_final:
            return
        await self.push_frame(
            InterimTranscriptionFrame(
                text=hypothesis.text, user_id="user", timestamp=time_now_iso8601()
            )
        )
        event: dict[str, object] = {
            "type": "transcript",
            "role": "user",
            "text": hypothesis.text,
            "final": False,
            "turn": len(self._recorder.turns),
        }
        await self.push_frame(ClientEventFrame(event=event))
