"""Who is called: our agent, or a stock Pipecat bot from the same models."""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import replace
from typing import Any, Protocol

from pipecat.frames.frames import TTSSpeakFrame
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.aggregators.llm_context import LLMContext
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from agent.agent import Agent
from agent.asr.moonshine import Moonshine
from agent.eval import faulty, stock
from agent.eval.ears import TappedVoice
from agent.eval.line import TELEPHONE_RATE
from agent.eval.scenario import Faults
from agent.llm.prompt import system_prompt
from agent.models.store import locate
from agent.session import Channel, Models, VoiceSession, close
from agent.settings import Settings
from agent.transports.memory import MemoryTransport
from agent.virtual_time import PricedExecutor

_SAMPLE_RATE = 24_000


class Party(Protocol):
    """Whoever is called.

    Attributes:
        name: In the report.
        transport: Its end of the line.
        voice: What it speaks with.
        sample_rate: Of its audio on the line, in Hz.
        decisions: What it decided about the floor, where it tells.
    """

    name: str
    transport: MemoryTransport
    voice: TappedVoice
    sample_rate: int

    async def begin(self) -> None:
        """Take the call."""

    async def greet(self) -> None:
        """Speak first."""

    async def end(self) -> None:
        """Hang up."""

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it remembers."""

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """About the floor, with times on the caller's clock."""


class _Stages:
    """Models with a scenario's faults in them, and the threads they work on."""

    def __init__(self, faults: Faults, models: Models) -> None:
        self._asr, self._tts = PricedExecutor("asr"), PricedExecutor("tts")
        self._faults = faults
        self._plain = models.executor
        voice, make, speak = models.voice, models.recogniser, models.language
        if faults.voice:
            voice = faulty.FaultyVoice(voice, faults.voice, self._tts.charge)
        self.voice = TappedVoice(voice)
        if fault := faults.recogniser:
            recogniser = lambda: faulty.recogniser(make, fault, self._asr.charge)  # noqa: E731
        else:
            recogniser = make

        def language(prompt: str) -> FrameProcessor:
            service = speak(prompt)
            if faults.model:
                faulty.language(service, faults.model)
            return service

        self.models = replace(
            models,
            voice=self.voice,
            recogniser=recogniser,
            language=language,
            executor=self.executor,
        )

    def executor(self, name: str) -> Executor:
        if self._faults.recogniser and name.startswith("asr"):
            return self._asr
        if self._faults.voice and name.startswith("tts"):
            return self._tts
        return self._plain(name)


class Duplex:
    """Our agent."""

    name = "duplex"

    def __init__(
        self, settings: Settings, models: Models, faults: Faults, agent: Agent | None = None
    ) -> None:
        stages = _Stages(faults, models)
        self.voice = stages.voice
        self.sample_rate = TELEPHONE_RATE if faults.telephone else _SAMPLE_RATE
        self.transport = MemoryTransport(TELEPHONE_RATE if faults.telephone else 16_000)
        agent = agent or Agent.of(settings.agent)
        self._session = VoiceSession(
            settings,
            stages.models,
            self.transport,
            Channel("eval", self.sample_rate, delay_s=0.0, cancels_echo=faults.echo is None),
            agent=agent,
            system_prompt=system_prompt(agent.instructions, has_tools=agent.has_tools),
            clock=asyncio.get_running_loop().time,
        )

    async def begin(self) -> None:
        """Take the call."""
        self._task = asyncio.create_task(self._session.run())
        await self.transport.input().ready.wait()

    async def greet(self) -> None:
        """Speak first."""
        await self._session.greet()

    async def end(self) -> None:
        """Hang up."""
        await close(self._session, self._task, drain_s=1.0)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it remembers."""
        return [dict(message) for message in self._session.context.messages]  # type: ignore[arg-type]

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """About the floor."""
        return list(self._session.recorder.decisions)


class Stock:
    """A Pipecat bot with Pipecat's own defaults, from the same models; tools it has none."""

    name = "stock pipecat"

    def __init__(
        self, settings: Settings, models: Models, faults: Faults, agent: Agent | None = None
    ) -> None:
        stages = _Stages(faults, models)
        self.voice = stages.voice
        self.sample_rate = TELEPHONE_RATE if faults.telephone else _SAMPLE_RATE
        rate = TELEPHONE_RATE if faults.telephone else 16_000
        self.transport = MemoryTransport(rate)
        self._agent = agent or Agent.of(settings.agent)
        self._context = LLMContext()
        model = Moonshine(locate(settings.asr.model, settings.models.paths))
        pipeline = stock.pipeline(
            self.transport,
            stock.SegmentedMoonshine(model, stages.executor("asr")),
            stages.models.language(system_prompt(self._agent.instructions)),
            stock.SentenceVoice(self.voice, stages.executor("tts")),
            context=self._context,
        )
        self._worker = PipelineWorker(
            pipeline,
            params=PipelineParams(
                audio_in_sample_rate=rate, audio_out_sample_rate=self.sample_rate
            ),
            enable_rtvi=False,
            idle_timeout_secs=None,
        )

    async def begin(self) -> None:
        """Take the call."""
        runner = WorkerRunner(handle_sigint=False)
        await runner.add_workers(self._worker)
        self._task = asyncio.create_task(runner.run())
        await self.transport.input().ready.wait()

    async def greet(self) -> None:
        """Speak first."""
        await self._worker.queue_frame(TTSSpeakFrame(self._agent.greeting))

    async def end(self) -> None:
        """Hang up."""
        await self._worker.cancel()
        await asyncio.wait({self._task}, timeout=5.0)

    @property
    def messages(self) -> list[dict[str, Any]]:
        """What it remembers."""
        return [dict(message) for message in self._context.messages]  # type: ignore[arg-type]

    @property
    def decisions(self) -> list[dict[str, Any]]:
        """It tells none."""
        return []


Caller = Callable[[Settings, Models, Faults, Agent | None], Party]

PARTIES: Mapping[str, Caller] = {"duplex": Duplex, "stock": Stock}
