"""What a user would build instead: a stock Pipecat pipeline, from the same models.

Pipecat's own defaults throughout: Silero with its volume gate, Smart Turn asked once per pause,
recognition of whole segments, speech of whole sentences. Its services are Pipecat's own
(`benchmarks.stock_services`), or the ones here, which run our repaired graph and our student
voice as Pipecat's own would run theirs, so that only the pipeline makes a difference.
"""

import asyncio
from collections.abc import AsyncGenerator
from concurrent.futures import Executor

import numpy as np
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.frames.frames import ErrorFrame, Frame, TranscriptionFrame, TTSAudioRawFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.services.settings import STTSettings, TTSSettings
from pipecat.services.stt_service import SegmentedSTTService
from pipecat.services.tts_service import TTSService
from pipecat.transports.base_transport import BaseTransport
from pipecat.utils.time import time_now_iso8601

from agent.asr.moonshine import Moonshine
from agent.audio.chunk import SAMPLE_RATE, to_float
from agent.audio.resample import resample
from agent.tts.speech import Voice


class SegmentedMoonshine(SegmentedSTTService):
    """Moonshine as Pipecat's own service runs it: each segment at once, in a thread."""

    def __init__(self, model: Moonshine, executor: Executor | None = None) -> None:
        super().__init__(settings=STTSettings(model="moonshine", language=None))
        self._model = model
        self._executor = executor

    @property
    def wants_wav_segments(self) -> bool:
        """Raw PCM."""
        return False

    async def run_stt(self, audio: bytes) -> AsyncGenerator[Frame | None, None]:
        """Transcribe one segment."""
        pcm = resample(np.frombuffer(audio, np.int16), self.sample_rate, SAMPLE_RATE)
        signal = to_float(pcm)
        loop = asyncio.get_running_loop()
        transcript = await loop.run_in_executor(self._executor, self._model.transcribe, signal)
        if transcript.text:
            yield TranscriptionFrame(
                text=transcript.text, user_id="user", timestamp=time_now_iso8601()
            )


class SentenceVoice(TTSService):
    """A voice as Pipecat's own Kokoro service runs it: each sentence whole."""

    def __init__(self, voice: Voice, executor: Executor | None = None) -> None:
        super().__init__(
            sample_rate=voice.sample_rate,
            push_start_frame=True,
            push_stop_frames=True,
            settings=TTSSettings(model=None, voice="af_heart", language=None),
        )
        self._speaker = voice
        self._executor = executor

    async def run_tts(self, text: str, context_id: str) -> AsyncGenerator[Frame | None, None]:
        """Speak one sentence."""
        loop = asyncio.get_running_loop()
        stretches = await loop.run_in_executor(
            self._executor, lambda: list(self._speaker.speak(text))
        )
        if not stretches:
            yield ErrorFrame(error="nothing to say")
            return
        for speech in stretches:
            yield TTSAudioRawFrame(
                audio=speech.pcm.tobytes(),
                sample_rate=speech.sample_rate,
                num_channels=1,
                context_id=context_id,
            )


def pipeline(
    transport: BaseTransport,
    recogniser: FrameProcessor,
    language: FrameProcessor,
    voice: FrameProcessor,
    *,
    context: LLMContext | None = None,
) -> Pipeline:
    """Pipecat's quick-start, offline.

    Args:
        transport: Where the caller is.
        recogniser: The service that recognises.
        language: The language model's service.
        voice: The service that speaks.
        context: What is remembered; None for an empty one.
    """
    aggregators = LLMContextAggregatorPair(
        LLMContext() if context is None else context,
        user_params=LLMUserAggregatorParams(vad_analyzer=SileroVADAnalyzer()),
    )
    return Pipeline(
        [
            transport.input(),
            recogniser,
            aggregators.user(),
            language,
            voice,
            transport.output(),
            aggregators.assistant(),
        ]
    )
