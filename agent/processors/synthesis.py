"""Tokens in, speech with word times out, clause by clause."""

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor

from loguru import logger
from pipecat.frames.frames import (
    Frame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMTextFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessor,
    FrameProcessorSetup,
)

from agent.observe.record import TurnRecorder
from agent.processors.frames import SpeechFrame
from agent.tts.clauses import ClauseSplitter
from agent.tts.speech import Speech, Voice

APOLOGY = "Sorry, I lost my train of thought. Could you say that again?"
"""Spoken when the language model gave nothing: the caller hears an apology, never silence."""

FILLER = "One moment, please."
"""Spoken when its first word is late."""

_WAITING_CLAUSES = 64
"""Clauses a response may have waiting: several minutes of speech. Full, the model waits."""

_Work = str | LLMFullResponseEndFrame | LLMFullResponseStartFrame


class Synthesis(FrameProcessor):
    """Speaks the language model's answer as it comes.

    A barge-in increments the generation; speech of an older one is dropped where it arrives.
    """

    def __init__(
        self,
        voice: Voice,
        recorder: TurnRecorder,
        executor: Executor,
        first_token_s: float,
    ) -> None:
        super().__init__()
        self._voice = voice
        self._recorder = recorder
        self._executor = executor
        self._first_token_s = first_token_s
        self._splitter = ClauseSplitter()
        self._generation = 0
        self._queue: asyncio.Queue[tuple[int, _Work]] = asyncio.Queue(_WAITING_CLAUSES)
        self._worker: asyncio.Task[None] | None = None
        self._late: asyncio.Task[None] | None = None
        self._is_responding = self._has_text = self._called_tool = False

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Start the worker."""
        await super().setup(setup)
        self._worker = self.create_task(self._work())

    async def cleanup(self) -> None:
        """Stop the worker."""
        await super().cleanup()
        await self._stop_waiting()
        if self._worker:
            await self.cancel_task(self._worker)
            self._worker = None

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Consume the model's text; pass everything else on in order."""
        await super().process_frame(frame, direction)
        match frame:
            case LLMFullResponseStartFrame():
                await self._begin(frame)
            case LLMTextFrame():
                await self._on_text(frame.text)
            case LLMFullResponseEndFrame():
                await self._end(frame)
            case TTSSpeakFrame():
                await self._begin(LLMFullResponseStartFrame())
                await self._on_text(frame.text)
                await self._end(LLMFullResponseEndFrame())
            case _:
                if isinstance(frame, InterruptionFrame):
                    await self._drop()
                elif isinstance(frame, FunctionCallsStartedFrame):
                    self._called_tool = True
                await self.push_frame(frame, direction)

    async def _begin(self, frame: LLMFullResponseStartFrame) -> None:
        self._splitter = ClauseSplitter()
        self._is_responding, self._has_text, self._called_tool = True, False, False
        await self._put(frame)
        await self._stop_waiting()
        self._late = self.create_task(self._say_if_late())

    async def _on_text(self, text: str) -> None:
        if not self._is_responding:
            return
        if text.strip() and not self._has_text:
            self._has_text = True
            await self._stop_waiting()
            self._recorder.mark("first_token")
        for clause in self._splitter.push(text):
            await self._say(clause)

    async def _end(self, frame: LLMFullResponseEndFrame) -> None:
        # The model's service also ends responses that an interruption has dropped.
        if not self._is_responding:
            return
        self._is_responding = False
        await self._stop_waiting()
        for clause in self._splitter.finish():
            await self._say(clause)
        if not self._has_text and not self._called_tool:
            logger.warning("the language model gave no answer; apologising")
            await self._put(APOLOGY)
        await self._put(frame)

    async def _say(self, clause: str) -> None:
        self._recorder.mark("first_clause")
        await self._put(clause)

    async def _say_if_late(self) -> None:
        await asyncio.sleep(self._first_token_s)
        logger.warning("no first word after {} s; saying a filler", self._first_token_s)
        await self._put(FILLER)

    async def _stop_waiting(self) -> None:
        if self._late:
            late, self._late = self._late, None
            await self.cancel_task(late)

    async def _put(self, work: _Work) -> None:
        await self._queue.put((self._generation, work))

    async def _drop(self) -> None:
        self._generation += 1
        self._is_responding = False
        await self._stop_waiting()
        while not self._queue.empty():
            self._queue.get_nowait()

    async def _work(self) -> None:
        while True:
            generation, work = await self._queue.get()
            if generation != self._generation:
                continue
            if isinstance(work, str):
                await self._speak(work, generation)
            else:
                await self.push_frame(work)

    async def _speak(self, clause: str, generation: int) -> None:
        stretches = self._voice.speak(clause)
        while generation == self._generation:
            speech = await self._run(lambda: next(stretches, None))
            if speech is None:
                return
            if generation == self._generation:
                self._recorder.mark("first_speech")
                await self.push_frame(SpeechFrame(speech=speech))

    async def _run(self, step: Callable[[], Speech | None]) -> Speech | None:
        return await asyncio.get_running_loop().run_in_executor(self._executor, step)
