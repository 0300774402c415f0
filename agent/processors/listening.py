"""Audio of any shape in; hops on the media clock with their speech posterior out."""

import asyncio

import numpy as np
from pipecat.frames.frames import Frame, InputAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection

from agent.audio.chunk import SAMPLE_RATE, Int16Array, PcmChunk, samples
from agent.audio.echo import EchoCanceller
from agent.audio.resample import StreamResampler
from agent.observe.record import TurnRecorder
from agent.processors.far_end import FarEnd
from agent.processors.frames import ClientEventFrame, HopFrame
from agent.stage import Stage
from agent.turns.echo import EchoHop, EchoLevel
from agent.vad.foreground import Attributed, Foreground
from agent.vad.silero import HOP, SileroModel, SileroPosterior

_REPORT_HOPS = 6
"""Hops whose posteriors share one event for the page: five events a second."""

_AT_ONCE = samples(0.25)
"""Audio listened to without a break: some milliseconds of work."""


class Listening(Stage):
    """The session's media clock and its one speech posterior, freed of voices not the caller's."""

    def __init__(
        self,
        model: SileroModel,
        recorder: TurnRecorder,
        far_end: FarEnd | None = None,
        canceller: EchoCanceller | None = None,
        *,
        reports: bool = True,
    ) -> None:
        """Begin at sample 0.

        Args:
            model: Speech posterior.
            recorder: Of the session.
            far_end: What our loudspeaker plays; None where nothing of it can come back.
            canceller: Removes it; None where the client does.
            reports: Whether the client is shown the posterior.
        """
        super().__init__(enable_direct_mode=True)  # Waits for nothing: see `processors`.
        self._far_end = far_end or FarEnd(SAMPLE_RATE)
        self._far_end.clock = lambda: self._clock + len(self._remainder)
        self._canceller = canceller
        self._echo = EchoLevel()
        self._posterior = SileroPosterior(model)
        self._foreground = Foreground()
        self._recorder = recorder
        self._resampler: StreamResampler | None = None
        self._from_rate = SAMPLE_RATE
        self._remainder: Int16Array = np.zeros(0, np.int16)
        self._clock = 0
        self._received = 0
        self._reports = reports
        self._unreported: list[float] = []
        self.muted = False

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Turn input audio into hops; pass everything else on.

        Audio goes no further: fifty frames a second through every processor behind would cost
        more than all decisions together.
        """
        await super().process_frame(frame, direction)
        if isinstance(frame, InputAudioRawFrame):
            pcm = self._to_clock_rate(frame)
            for start in range(0, len(pcm), _AT_ONCE):
                if start:
                    # Whoever sends many seconds at once must not keep other callers waiting.
                    await asyncio.sleep(0)
                await self._listen(pcm[start : start + _AT_ONCE])
        else:
            await self.push_frame(frame, direction)

    def _to_clock_rate(self, frame: InputAudioRawFrame) -> Int16Array:
        whole = len(frame.audio) // (2 * frame.num_channels) * frame.num_channels
        samples = np.frombuffer(frame.audio, np.int16, whole)
        if frame.num_channels > 1:
            samples = samples.reshape(-1, frame.num_channels).mean(axis=1).astype(np.int16)
        if self.muted:
            # Silence, not nothing: the media clock must go on, and an open turn must end.
            samples = np.zeros_like(samples)
        if frame.sample_rate != self._from_rate:
            self._from_rate = frame.sample_rate
            self._resampler = StreamResampler(frame.sample_rate, SAMPLE_RATE)
        if self._from_rate == SAMPLE_RATE or self._resampler is None:
            return samples
        return self._resampler.push(samples)

    async def _listen(self, pcm: Int16Array) -> None:
        if self._canceller:
            pcm = self._without_echo(self._canceller, pcm)
        waiting = np.concatenate([self._remainder, pcm])
        whole = len(waiting) // HOP * HOP
        self._remainder = waiting[whole:]
        for start in range(0, whole, HOP):
            hop = waiting[start : start + HOP]
            # Under 0.1 ms: cheaper here than the hand-over to a thread.
            probability = self._posterior.push(hop)
            chunk = PcmChunk(hop, self._clock)
            self._clock = chunk.end_sample
            self._recorder.heard_audio(chunk.end_sample)
            far = self._far_end.read(chunk.start_sample, HOP)
            echo = self._echo.push(chunk.end_sample, hop, far, probability)
            heard = self._heard(probability, echo)
            await self.push_frame(
                HopFrame(
                    chunk=chunk,
                    probability=heard.probability,
                    level_dbfs=echo.near_dbfs,
                    echo_dbfs=echo.echo_dbfs,
                    behind=heard.behind,
                    caller_dbfs=heard.caller_dbfs,
                    behind_dbfs=heard.behind_dbfs,
                )
            )
            await self._report(heard.probability)

    def _heard(self, probability: float, echo: EchoHop) -> Attributed:
        if self.muted:
            # Silence that we made says nothing of the room.
            return Attributed(probability)
        return self._foreground.push(probability, echo.near_dbfs, echo.echo_dbfs)

    def _without_echo(self, canceller: EchoCanceller, pcm: Int16Array) -> Int16Array:
        far = self._far_end.read(self._received, len(pcm))
        self._received += len(pcm)
        if self.muted:
            # What does not come back meanwhile says nothing of the path.
            far = np.zeros_like(far)
        return canceller.process(pcm, far)

    async def _report(self, probability: float) -> None:
        if not self._reports:
            return
        self._unreported.append(round(probability, 3))
        if len(self._unreported) < _REPORT_HOPS:
            return
        event: dict[str, object] = {
            "type": "posterior",
            "at_s": round(self._clock / SAMPLE_RATE, 3),
            "hop_s": HOP / SAMPLE_RATE,
            "p": self._unreported,
        }
        self._unreported = []
        await self.push_frame(ClientEventFrame(event=event))
