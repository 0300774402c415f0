"""One conversation: assemble it, run it, close it."""

import asyncio
import secrets
import uuid
from collections.abc import Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from loguru import logger
from pipecat.frames.frames import EndFrame, Frame, TTSSpeakFrame
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.aggregators.llm_response_universal import (
    LLMContextAggregatorPair,
    LLMUserAggregatorParams,
)
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.transports.base_transport import BaseTransport
from pipecat.workers.runner import WorkerRunner

from agent.agent import Agent
from agent.asr.hybrid.health import CloudHealth
from agent.asr.hybrid.recogniser import Sides
from agent.asr.hypothesis import Recogniser
from agent.audio.chunk import SAMPLE_RATE
from agent.audio.echo import EchoCanceller
from agent.conversation import Call
from agent.errors import DegradedError
from agent.llm import prompt
from agent.llm.fallback import Fallback
from agent.llm.prompt import INTERRUPTED_NOTE
from agent.logs import bound
from agent.observe.record import Clock, TurnRecorder
from agent.processors.client import ClientControl, ClientEvents
from agent.processors.dialogue import Dialogue
from agent.processors.far_end import FarEnd
from agent.processors.frames import ClientEventFrame
from agent.processors.listening import Listening
from agent.processors.playout import Playout
from agent.processors.playout_ack import PlayoutAck
from agent.processors.recognition import Recognition
from agent.processors.strategies import decided_turns
from agent.processors.synthesis import Synthesis
from agent.processors.turn_taking import TurnTaking
from agent.settings import Settings
from agent.tts.spare import Spare
from agent.tts.speech import Voice
from agent.turns.events import TurnPolicy
from agent.turns.smart_turn import SmartTurn
from agent.vad.silero import SileroModel

QUEUES = ("recognition_s", "clauses", "playout_s")
"""Where a session's work waits: speech for the recogniser, clauses for the voice, speech for the
line."""

_WATCHDOG_S = 60.0
"""Pipecat ends a turn on its own after this. Our policy always decides sooner."""


@dataclass(frozen=True, slots=True)
class Models:
    """What a conversation is held with. Shared models, or makers of what each session owns.

    Attributes:
        silero: Speech posterior.
        smart_turn: Prosody.
        recogniser: Makes what a session recognises with: an edge alone, or an edge and a cloud.
        policy: Makes a session's turn policy.
        voice: Speaks.
        language: Makes a session's language model service, given the system prompt.
        fallback: Makes a session's watch over its language model.
        names: Of the models in use, by role, for the client and the records.
        interruption_note: What the language model is told when the user cuts it off.
        is_model_ready: Whether the embedded language model answers; False where there is none.
        spare: Said when the voice fails.
        executor: Makes the worker thread of one stream.
        cloud: How the recogniser on another machine is doing; None where there is none.
    """

    silero: SileroModel
    smart_turn: SmartTurn
    recogniser: Callable[[], Recogniser | Sides]
    policy: Callable[[], TurnPolicy]
    voice: Voice
    language: Callable[[str], FrameProcessor]
    names: dict[str, str]
    fallback: Callable[[], Fallback] = Fallback
    interruption_note: str | None = INTERRUPTED_NOTE
    is_model_ready: Callable[[], bool] = lambda: False
    spare: Spare | None = None
    executor: Callable[[str], Executor] = lambda name: ThreadPoolExecutor(1, name)
    cloud: CloudHealth | None = None


@dataclass(frozen=True, slots=True)
class Channel:
    """What a session must know of the channel it runs on.

    Attributes:
        name: Shown to the client and in records.
        sample_rate: Of the agent's audio on the wire, in Hz.
        delay_s: From a packet's leaving to its sounding, where the client reports nothing.
        fades: Whether a cut ends in a tail we fade; no if the client fades what it drops.
        all_events: Whether the client is sent every event, or those of the plain stream.
        cancels_echo: Whether the client takes our voice out of what it sends, as browsers do.
    """

    name: str
    sample_rate: int
    delay_s: float
    fades: bool = True
    all_events: bool = True
    cancels_echo: bool = True


class VoiceSession:
    """A conversation between one caller and one agent.

    Args:
        settings: Every knob.
        models: What it is held with.
        transport: Where the caller's voice comes from and the agent's goes.
        channel: What must be known of the transport.
        agent: Who talks; None for the one of the settings.
        system_prompt: In place of the one made of the agent's instructions.
        call: The telephone call, if it is one.
        is_private: Whether the caller's speech stays on this machine; None for what the settings
            say.
        edit: Changes the pipeline's stages before they are joined: yours among ours.
        clock: Seconds; None for the process's own.
    """

    def __init__(
        self,
        settings: Settings,
        models: Models,
        transport: BaseTransport,
        channel: Channel,
        *,
        agent: Agent | None = None,
        system_prompt: str | None = None,
        call: Call | None = None,
        is_private: bool | None = None,
        edit: Callable[[list[FrameProcessor]], list[FrameProcessor]] = list,
        clock: Clock | None = None,
    ) -> None:
        self.id = uuid.uuid4().hex[:12]
        self.resume_key = secrets.token_urlsafe(24)
        """Whoever brings it goes on with this conversation."""
        self._settings = settings
        self._models = models
        self._channel = channel
        agent = agent or Agent.of(settings.agent)
        if system_prompt is None:
            system_prompt = prompt.system_prompt(agent.instructions, has_tools=agent.has_tools)
        self._system_prompt = system_prompt
        self.context = LLMContext()
        self.recorder = TurnRecorder(clock) if clock else TurnRecorder()
        self._dialogue = Dialogue(agent, self.context, call=call, hidden=self.recorder.hidden)
        self._executors: list[Executor] = []
        self.watchers: list[Callable[[Frame], None]] = []
        """Told of every event for the client, whether it is sent or not, and of what tools gave."""
        self._far_end = FarEnd(channel.sample_rate)
        self._playout = Playout(
            settings.playout,
            self.recorder,
            sample_rate=channel.sample_rate,
            delay_s=channel.delay_s,
            fades=channel.fades,
            far_end=self._far_end,
            interruption_note=models.interruption_note,
        )
        self._recognition = Recognition(
            models.recogniser(),
            self.recorder,
            self._thread("asr"),
            is_private=settings.asr.private if is_private is None else is_private,
        )
        self._synthesis = Synthesis(
            models.voice,
            self.recorder,
            self._thread("tts"),
            models.fallback(),
            models.is_model_ready,
            models.spare,
            lambda: self._thread("tts"),
            settings.tts.first_audio_s,
        )
        self._worker = PipelineWorker(
            Pipeline(self._edited(edit, self._stages(transport))),
            params=PipelineParams(
                audio_in_sample_rate=SAMPLE_RATE, audio_out_sample_rate=channel.sample_rate
            ),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )
        self._runner = WorkerRunner(handle_sigint=False)

    @property
    def is_idle(self) -> bool:
        """Whether no answer is being made or heard."""
        return not self._playout.is_busy

    def depth(self, queue: str) -> float:
        """How much waits in one of `QUEUES`."""
        match queue:
            case "recognition_s":
                return self._recognition.waiting_s
            case "playout_s":
                return self._playout.waiting_s
            case _:
                return float(self._synthesis.waiting)

    @property
    def is_private(self) -> bool:
        """Whether the caller's speech stays on this machine from now on.

        May be set at any time. What is open counts as private at once; what was already sent of it
        was sent.
        """
        return self._recognition.is_private

    @is_private.setter
    def is_private(self, value: bool) -> None:
        self._recognition.is_private = value

    @property
    def is_asking(self) -> bool:
        """Whether a flow or a tool waits for an answer, with a patience of its own."""
        return self._dialogue.is_listening

    @property
    def worker(self) -> PipelineWorker:
        """Pipecat's worker, for those who push frames of their own."""
        return self._worker

    async def run(self) -> None:
        """Hold the conversation until it ends."""
        with bound(self.id, lambda: self.recorder.current.turn):
            logger.info("session {} on {} begins", self.id, self._channel.name)
            try:
                await self._runner.add_workers(self._worker)
                await self._runner.run()
            finally:
                for executor in self._executors:
                    executor.shutdown(wait=False, cancel_futures=True)
                turns = len(self.recorder.turns) - 1
                logger.info("session {} ended after {} turns", self.id, turns)

    async def greet(self) -> None:
        """Say who we are, once the caller can hear it, and start the agent's flow."""
        if greeting := self._dialogue.agent.greeting:
            await self._worker.queue_frame(TTSSpeakFrame(greeting))
        self._dialogue.begin()

    async def end(self) -> None:
        """End the conversation once what is being said has been said."""
        await self._worker.queue_frame(EndFrame())

    async def cancel(self) -> None:
        """End the conversation at once."""
        # Pipecat cancels behind an end that is under way; that end must not wait for a farewell.
        self._synthesis.abandon()
        self._playout.abandon()
        await self._worker.cancel()

    def hold(self) -> None:
        """The client is lost, and may come back: keep what it has not heard."""
        self._playout.hold()

    async def go_on(self) -> None:
        """The client is back."""
        await self._worker.queue_frame(ClientEventFrame(event=self.ready_event(is_resumed=True)))
        self._playout.go_on()

    def ready_event(self, *, is_resumed: bool = False) -> dict[str, Any]:
        """What the client is told first, or as it comes back."""
        return {
            "type": "ready",
            "session": self.id,
            "resume": self.resume_key,
            "resumed": is_resumed,
            "transport": self._channel.name,
            "sample_rate": self._channel.sample_rate,
            "models": self._models.names,
        }

    def _edited(
        self,
        edit: Callable[[list[FrameProcessor]], list[FrameProcessor]],
        ours: list[FrameProcessor],
    ) -> list[FrameProcessor]:
        stages = edit(list(ours))
        for place, stage in enumerate(stages):
            if isinstance(stage, PlayoutAck):
                stage.passes_audio = any(behind not in ours for behind in stages[place:])
        return stages

    def _stages(self, transport: BaseTransport) -> list[FrameProcessor]:
        models, recorder, shows = self._models, self.recorder, self._channel.all_events
        canceller = None if self._channel.cancels_echo else _canceller()
        listening = Listening(models.silero, recorder, self._far_end, canceller, reports=shows)
        playout = self._playout
        aggregators = LLMContextAggregatorPair(
            self.context,
            user_params=LLMUserAggregatorParams(
                user_turn_strategies=decided_turns(),
                user_turn_stop_timeout=_WATCHDOG_S,
                # Asks the model to react to turns without words: a cough would be answered.
                empty_user_turn=None,
            ),
        )
        return [
            transport.input(),
            ClientControl(listening, recorder),
            listening,
            self._recognition,
            TurnTaking(
                models.policy(),
                models.smart_turn,
                recorder,
                self._thread("prosody"),
                shows_evidence=shows,
            ),
            aggregators.user(),
            self._dialogue,
            models.language(self._system_prompt),
            self._synthesis,
            playout,
            ClientEvents(basic=not shows, watch=self._tell),
            transport.output(),
            PlayoutAck(playout),
            aggregators.assistant(),
        ]

    def _tell(self, frame: Frame) -> None:
        for watch in self.watchers:
            watch(frame)

    def _thread(self, stage: str) -> Executor:
        executor = self._models.executor(f"{stage}-{self.id}")
        self._executors.append(executor)
        return executor


def _canceller() -> EchoCanceller | None:
    try:
        return EchoCanceller()
    except DegradedError as error:
        logger.warning("{}", error)
        return None


async def close(session: VoiceSession, task: "asyncio.Task[None]", drain_s: float) -> None:
    """End a running session, at once if it is not over within `drain_s`."""
    await session.end()
    done, _ = await asyncio.wait({task}, timeout=drain_s)
    if not done:
        await session.cancel()
        await asyncio.wait({task}, timeout=drain_s)
