"""A scripted conversation in the Realtime protocol, on virtual time: no socket, no models."""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass, field
from typing import Any
from unittest import mock

import numpy as np
from starlette.websockets import WebSocketState

from agent.agent import Agent
from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import Int16Array
from agent.audio.resample import resample
from agent.eval.scripted import unused_executor
from agent.server.sessions import Sessions
from agent.session import Models
from agent.settings import Settings
from agent.turns.ending import EndOfTurn
from agent.turns.policy import FusedPolicy
from agent.virtual_time import PricedExecutor, VirtualLoop
from tests.realtime_fuzz import SERVER_EVENT
from tests.scenarios.calling import CallingLanguage
from tests.scenarios.fakes import (
    FixedProsody,
    LoudnessPosterior,
    ScriptedRecogniser,
    SteadyVoice,
    speech_like,
)
from tests.weights import KNOWN

RATE = 24_000
PACKET = 480


class Socket:
    """In a WebSocket's place."""

    def __init__(self, *, is_beta: bool = False) -> None:
        self.is_beta = is_beta
        self.client_state = self.application_state = WebSocketState.CONNECTED
        self.incoming: asyncio.Queue[dict[str, Any]] = asyncio.Queue()
        self.events: list[dict[str, Any]] = []
        self.arrived = asyncio.Condition()

    async def receive(self) -> dict[str, Any]:
        return await self.incoming.get()

    async def send_text(self, text: str) -> None:
        async with self.arrived:
            event = json.loads(text)
            if not self.is_beta:
                # What we tell is what the unmodified SDK knows.
                SERVER_EVENT.validate_python(event)
            self.events.append(event)
            self.arrived.notify_all()

    async def close(self, code: int = 1000, reason: str = "") -> None:
        self.application_state = WebSocketState.DISCONNECTED


class SlowRecogniser(ScriptedRecogniser):
    """On a busy machine."""

    def __init__(self, words: list[tuple[str, float, float]], work: Callable[[], None]) -> None:
        super().__init__(words)
        self._work = work

    def _hypothesis(self, *, is_final: bool) -> Hypothesis:
        self._work()
        return super()._hypothesis(is_final=is_final)


@dataclass
class RealtimeCall:
    """Write down what is said and how the models answer; `client` does the rest."""

    lines: list[Any] = field(default_factory=list)
    agent: Agent = field(default_factory=lambda: Agent("You are a shop.", greeting="Hello."))
    words: list[tuple[str, float, float]] = field(default_factory=list)
    is_beta: bool = False
    settings: Settings = field(default_factory=Settings)
    now: Callable[[], Settings] | None = None
    """The settings as each conversation begins."""
    token_s: float = 0.0
    """What the language model takes for each word."""
    recogniser_s: float = 0.0
    """What the recogniser takes for each look at what was said."""

    def hears(self, text: str, start_s: float, end_s: float) -> None:
        """What the recogniser will understand, and when on the clock of the audio sent."""
        step = (end_s - start_s) / len(text.split())
        for number, word in enumerate(text.split()):
            begin = start_s + number * step
            self.words.append((word, begin, begin + step))

    def run(self, client: Callable[["RealtimeCall"], Awaitable[None]]) -> None:
        loop = VirtualLoop()
        try:
            # The canceller takes one tone of the fakes for the echo of another.
            with loop.virtual(), mock.patch("agent.session._canceller", lambda: None):
                loop.run_until_complete(self._run(client))
        finally:
            leaked = [task for task in asyncio.all_tasks(loop) if not task.done()]
            loop.close()
            assert not leaked, f"tasks outlived the call: {leaked}"

    async def _run(self, client: Callable[["RealtimeCall"], Awaitable[None]]) -> None:
        self.language = CallingLanguage(self.lines, token_s=self.token_s)
        models = Models(
            silero=LoudnessPosterior(),
            smart_turn=FixedProsody(0.9),
            recogniser=self._recogniser,
            policy=lambda: FusedPolicy(ending=EndOfTurn(KNOWN)),
            voice=SteadyVoice(),
            language=lambda _prompt: self.language,
            names={"asr": "scripted"},
            interruption_note=None,
            executor=self._executor,
        )
        sessions = Sessions(
            self.settings, models, is_offline=True, agent=lambda: self.agent, now=self.now
        )
        self.socket = Socket(is_beta=self.is_beta)
        running = asyncio.create_task(
            sessions.run_realtime(
                self.socket, sessions.admission.take(), is_beta=self.is_beta, greets=False
            )
        )
        await self.until("session.created")
        (self.session,) = sessions.running
        try:
            async with asyncio.timeout(120):
                await client(self)
        finally:
            self.socket.incoming.put_nowait({"type": "websocket.disconnect"})
            await running

    def _executor(self, name: str) -> Executor:
        if not (self.recogniser_s and name.startswith("asr")):
            return unused_executor(name)
        self._thread = PricedExecutor(name)
        return self._thread

    def _recogniser(self) -> ScriptedRecogniser:
        if not self.recogniser_s:
            return ScriptedRecogniser(self.words)
        return SlowRecogniser(self.words, lambda: self._thread.charge(self.recogniser_s))

    # What a client does.

    async def send(self, kind: str, **fields: Any) -> None:
        text = json.dumps({"type": kind, **fields})
        await self.socket.incoming.put({"type": "websocket.receive", "text": text})

    async def speak(
        self, length_s: float, *, then_quiet_s: float = 0.0, paced: bool = True
    ) -> None:
        """Send sound, at the pace of speech or in one go."""
        sound = resample(speech_like(length_s), 16_000, RATE)
        quiet = np.zeros(round(then_quiet_s * RATE), np.int16)
        await self.send_audio(np.concatenate([sound, quiet]), paced=paced)

    async def quiet(self, length_s: float, *, paced: bool = True) -> None:
        await self.send_audio(np.zeros(round(length_s * RATE), np.int16), paced=paced)

    async def send_audio(self, pcm: Int16Array, *, paced: bool = True) -> None:
        for start in range(0, len(pcm), PACKET):
            packet = base64.b64encode(pcm[start : start + PACKET].tobytes()).decode()
            await self.send("input_audio_buffer.append", audio=packet)
            await asyncio.sleep(PACKET / RATE if paced else 0)

    async def until(self, kind: str, number: int = 1) -> dict[str, Any]:
        """Wait for the n-th event of a kind."""
        async with self.socket.arrived:
            await self.socket.arrived.wait_for(lambda: len(self.all(kind)) >= number)
        return self.all(kind)[number - 1]

    def all(self, kind: str) -> list[dict[str, Any]]:
        return [event for event in self.socket.events if event["type"] == kind]

    @property
    def history(self) -> list[dict[str, Any]]:
        return [dict(message) for message in self.session.context.messages]

    @property
    def audio_s(self) -> float:
        """Of the agent, so far."""
        deltas = self.all("response.output_audio.delta")
        return sum(len(base64.b64decode(event["delta"])) for event in deltas) / 2 / RATE
