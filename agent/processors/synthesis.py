"""Tokens in, speech with word times out, clause by clause."""

import asyncio
import functools
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Executor

from loguru import logger
from pipecat.frames.frames import (
    EagerEndOfTurnCancelFrame,
    EndFrame,
    Frame,
    FunctionCallsStartedFrame,
    InterruptionFrame,
    LLMFullResponseEndFrame,
    LLMFullResponseStartFrame,
    LLMRunFrame,
    LLMTextFrame,
    TTSSpeakFrame,
)
from pipecat.processors.frame_processor import (
    FrameDirection,
    FrameProcessorSetup,
)

from agent.llm.draft import Draft
from agent.llm.fallback import Action, Failure, Fallback, Retry, Say
from agent.observe.record import TurnRecorder
from agent.processors.frames import (
    MORE_FOLLOWS,
    DraftStartFrame,
    LanguageFailureFrame,
    SpeechFrame,
)
from agent.stage import Stage
from agent.tts.clauses import ClauseSplitter
from agent.tts.spare import Spare
from agent.tts.speech import Speech, Voice
from agent.tts.standby import StandbyVoice

_WAITING_CLAUSES = 64
"""Clauses a response may have waiting: several minutes of speech. Full, the model waits."""

_LATE_S = 2.0
"""The caller hears nothing of a clause for so long, and is told that it comes."""

_LOST_S = 6.0
"""A voice that gives nothing for so long hangs, and its thread with it."""

_TICK_S = 0.1
"""How often the model's silence is looked at."""

_Step = asyncio.Future[Speech | None]

_Work = str | LLMFullResponseEndFrame | LLMFullResponseStartFrame


class Synthesis(Stage):
    """Speaks the language model's answer as it comes, a draft like any other.

    A barge-in or a withdrawn draft increments the generation; speech of an older one is dropped
    where it arrives.
    """

    def __init__(
        self,
        voice: Voice,
        recorder: TurnRecorder,
        executor: Executor,
        fallback: Fallback,
        is_model_ready: Callable[[], bool],
        spare: Spare | None = None,
        new_executor: Callable[[], Executor] | None = None,
        first_audio_s: float = 1.0,
    ) -> None:
        super().__init__()
        self._first_audio_s = first_audio_s
        self._spare = spare or Spare()
        self._new_executor = new_executor
        self._is_spared = False
        self._fallback = fallback
        self._is_model_ready = is_model_ready
        self._voice = voice
        self._recorder = recorder
        self._executor = executor
        self._splitter = ClauseSplitter()
        self._generation = 0
        self._queue: asyncio.Queue[tuple[int, _Work]] = asyncio.Queue(_WAITING_CLAUSES)
        self._abandoned = asyncio.Event()
        self._worker: asyncio.Task[None] | None = None
        self._watch: asyncio.Task[None] | None = None
        self._failure: Failure | None = None
        self._draft: Draft | None = None
        self._is_responding = self._has_text = self._called_tool = False

    @property
    def waiting(self) -> int:
        """Clauses that wait for the voice."""
        return self._queue.qsize()

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Start the worker and the watch over the model."""
        await super().setup(setup)
        self._worker = self.create_task(self._work())
        self._watch = self.create_task(self._watch_model())

    async def cleanup(self) -> None:
        """Stop both."""
        await super().cleanup()
        for task in (self._worker, self._watch):
            if task:
                await self.cancel_task(task)
        self._worker = self._watch = None

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
            case LanguageFailureFrame():
                self._failure = frame.failure
            case TTSSpeakFrame():
                await self._say_alone(frame.text, bridges=MORE_FOLLOWS in frame.metadata)
            case EndFrame():
                # A farewell may still wait for its voice.
                await self._finish()
                await self.push_frame(frame, direction)
            case _:
                if isinstance(frame, InterruptionFrame):
                    self._drop()
                elif isinstance(frame, EagerEndOfTurnCancelFrame):
                    if self._is_withdrawn:
                        self._drop()
                elif isinstance(frame, FunctionCallsStartedFrame):
                    self._called_tool = True
                await self.push_frame(frame, direction)

    def abandon(self) -> None:
        """Nobody listens any more: let the conversation end without what is still to be spoken."""
        self._abandoned.set()

    async def _finish(self) -> None:
        """Wait until all has been spoken. A voice that hangs is not waited for once abandoned."""
        waits = [
            asyncio.ensure_future(self._queue.join()),
            asyncio.ensure_future(self._abandoned.wait()),
        ]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for wait in waits:
                wait.cancel()

    @property
    def _is_withdrawn(self) -> bool:
        return self._draft is not None and self._draft.is_withdrawn

    async def _begin(self, frame: LLMFullResponseStartFrame) -> None:
        self._draft = frame.draft if isinstance(frame, DraftStartFrame) else None
        if self._is_withdrawn:
            self._is_responding = False
            return
        self._splitter = ClauseSplitter()
        self._is_responding, self._has_text = True, False
        self._recorder.asked(draft=bool(self._draft and self._draft.is_pending))
        await self._act(self._fallback.request_started(self._now()))
        await self._put(frame)

    async def _on_text(self, text: str) -> None:
        if not self._is_responding or self._is_withdrawn:
            return
        if text.strip():
            self._has_text = True
            self._mark("first_token")
            await self._act(self._fallback.token(self._now()))
        for clause in self._splitter.push(text):
            await self._say(clause)

    async def _end(self, frame: LLMFullResponseEndFrame) -> None:
        # The model's service also ends responses that were dropped; of a withdrawn draft the end
        # may come before the word of it.
        failure, self._failure = self._failure, None
        # Its frame overtakes others: it may have come before the response it belongs to.
        called_tool, self._called_tool = self._called_tool, False
        if not self._is_responding or self._is_withdrawn:
            return
        for clause in self._splitter.finish():
            await self._say(clause)
        self._is_responding = False
        if failure:
            actions = self._fallback.failed(failure, self._now())
            if self._fallback.is_open:
                frame.metadata[MORE_FOLLOWS] = True
            await self._put(frame)
            await self._act(actions)
            return
        await self._put(frame)
        if called_tool:
            self._fallback.token(self._now())
        await self._act(self._fallback.finished(self._now()))

    async def _act(self, actions: Sequence[Action]) -> None:
        """Do what the fallback asks for. Deadlines are the language service's, so nothing drops."""
        for action in actions:
            logger.warning("{}: {}", type(action).__name__, action.reason)
            self._recorder.failed_over("language")
            if isinstance(action, Say):
                await self._interject(action.text)
            elif isinstance(action, Retry):
                await self.push_frame(LLMRunFrame(), FrameDirection.UPSTREAM)

    async def _interject(self, text: str) -> None:
        if self._is_responding:
            await self._say(text)
        else:
            await self._say_alone(text, bridges=self._fallback.is_open)

    async def _say_alone(self, text: str, *, bridges: bool) -> None:
        """Speak a line that is no answer of the model's, as a response of its own.

        Args:
            text: The line.
            bridges: Whether the answer is still to come.
        """
        await self._put(LLMFullResponseStartFrame())
        for clause in (splitter := ClauseSplitter()).push(text) + splitter.finish():
            await self._say(clause)
        end = LLMFullResponseEndFrame()
        if bridges:
            end.metadata[MORE_FOLLOWS] = True
        await self._put(end)

    async def _watch_model(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            if self._draft and self._draft.is_pending:
                continue  # Nobody waits for it yet.
            await self._act(self._fallback.tick(self._now()))
            if self._is_model_ready():
                # Means nothing unless a question waits for a dead server.
                await self._act(self._fallback.server_ready(self._now()))

    async def _say(self, clause: str) -> None:
        self._mark("first_clause")
        await self._put(clause)

    async def _put(self, work: _Work) -> None:
        await self._queue.put((self._generation, work))

    def _drop(self) -> None:
        self._generation += 1
        self._is_responding = self._called_tool = False
        self._draft = None
        self._fallback.cancelled(self._now())
        while not self._queue.empty():
            self._queue.get_nowait()
            self._queue.task_done()

    async def _work(self) -> None:
        while True:
            generation, work = await self._queue.get()
            if generation == self._generation:
                if isinstance(work, str):
                    await self._speak(work, generation)
                else:
                    self._is_spared = False
                    await self.push_frame(work)
            self._queue.task_done()

    async def _speak(self, clause: str, generation: int) -> None:
        asked_s = self._now()
        stretches, begun = await self._open(clause, generation)
        step: _Step | None = begun
        while generation == self._generation:
            step = step or self._begun(stretches)
            try:
                speech = await self._stretch(step, generation, asked_s)
            except Exception as error:  # noqa: BLE001 - a voice that breaks must not end the call
                logger.error("the voice failed: {}", type(error).__name__)
                await self._stand_in(self._spare.failed, generation)
                return
            if speech is None:
                return
            if generation == self._generation:
                self._mark("first_speech")
                await self.push_frame(SpeechFrame(speech=speech))
            asked_s, step = self._now(), None

    async def _open(self, clause: str, generation: int) -> tuple[Iterator[Speech], _Step]:
        """Begin a clause, in the first voice that does not keep the caller waiting."""
        while True:
            stretches = self._voice.speak(clause)
            step = self._begun(stretches)
            if not (isinstance(self._voice, StandbyVoice) and self._new_executor):
                return stretches, step
            done, _ = await asyncio.wait({step}, timeout=self._first_audio_s)
            is_wanted = not done and generation == self._generation
            if not is_wanted or not self._voice.pass_over(stretches):
                return stretches, step
            self._recorder.failed_over("voice")
            # The late one keeps its thread until it is done with it, and what it gives is dropped.
            step.add_done_callback(lambda late: late.cancelled() or late.exception())
            self._executor = self._new_executor()

    async def _stretch(self, step: _Step, generation: int, asked_s: float) -> Speech | None:
        late_in_s = max(0.0, asked_s + _LATE_S - self._now())
        done, _ = await asyncio.wait({step}, timeout=late_in_s)
        if not done:
            await self._stand_in(self._spare.late, generation)
            done, _ = await asyncio.wait({step}, timeout=_LOST_S - _LATE_S)
        if not done:
            self._is_spared = False
            if self._new_executor:
                self._executor = self._new_executor()
            raise TimeoutError
        return step.result()

    async def _stand_in(self, spare: Sequence[Speech], generation: int) -> None:
        """Speak for the voice, once in a response."""
        if self._is_spared or generation != self._generation:
            return
        self._is_spared = True
        self._recorder.failed_over("voice")
        for speech in spare:
            await self.push_frame(SpeechFrame(speech=speech))

    def _mark(self, stage: str) -> None:
        self._recorder.mark(stage, draft=bool(self._draft and self._draft.is_pending))

    def _begun(self, stretches: Iterator[Speech]) -> _Step:
        step = functools.partial(next, stretches, None)
        return asyncio.get_running_loop().run_in_executor(self._executor, step)

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
