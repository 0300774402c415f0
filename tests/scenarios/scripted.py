"""A scripted call: who says what when, and what became of it. On virtual time."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from agent.agent import Agent
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.eval.scripted import models as scripted_models
from agent.observe.record import TurnRecord
from agent.session import Channel, VoiceSession, close
from agent.settings import Settings
from agent.transports.memory import MemoryTransport
from agent.turns.ending import EndOfTurn
from agent.turns.policy import FusedPolicy
from agent.virtual_time import VirtualLoop
from tests.scenarios.fakes import VOICE_RATE, ScriptedLanguage, speech_like
from tests.weights import KNOWN

PACKET = samples(0.02)


@dataclass
class Outcome:
    """What became of a call. Times are seconds since it began."""

    history: list[dict]
    turns: list[TurnRecord]
    track: Int16Array
    messages: list[tuple[float, dict]]
    asked: list[list[dict]]

    def agent_speaks_at(self) -> list[tuple[float, float]]:
        """Stretches in which the agent sounds, gaps under 50 ms closed."""
        size = round(0.01 * VOICE_RATE)
        loud = [
            np.abs(self.track[i : i + size]).max() > 100 for i in range(0, len(self.track), size)
        ]
        stretches: list[list[int]] = []
        for i in np.flatnonzero(loud):
            if stretches and i - stretches[-1][1] <= 5:
                stretches[-1][1] = i
            else:
                stretches.append([i, i])
        return [(start * 0.01, (end + 1) * 0.01) for start, end in stretches]

    def decisions(self) -> list[str]:
        return [event["kind"] for _, event in self.messages if event["type"] == "decision"]


@dataclass
class ScriptedCall:
    """Write down what is said, then `run`."""

    prosody: float = 0.9
    first_token_s: float = 0.1
    settings: Settings = field(default_factory=Settings)
    agent: Agent | None = None
    edit: Callable[[list[Any]], list[Any]] = list
    delay_s: float = 0.0
    watch: Callable[[VoiceSession], None] = lambda session: None
    """Sees the session before it begins."""
    loop: Callable[[], VirtualLoop] = VirtualLoop
    """Whose executor may be slow."""
    ears: dict[str, Any] = field(default_factory=dict)
    """Real models in the fakes' place: fields of `Models`."""
    _words: list[tuple[str, float, float]] = field(default_factory=list)
    _sounds: list[tuple[float, float]] = field(default_factory=list)
    _recordings: list[tuple[float, Int16Array]] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _client: list[tuple[float, dict]] = field(default_factory=list)

    def user_says(self, text: str, start_s: float, end_s: float) -> None:
        words = text.split()
        step = (end_s - start_s) / len(words)
        self._words += [
            (word, start_s + i * step, start_s + (i + 1) * step) for i, word in enumerate(words)
        ]
        self._sounds.append((start_s, end_s))

    def noise(self, start_s: float, end_s: float) -> None:
        """Sound the posterior takes for speech, without words: a cough."""
        self._sounds.append((start_s, end_s))

    def plays(self, recording: Int16Array, start_s: float) -> None:
        """A recording at 16 kHz, for real ears."""
        self._recordings.append((start_s, recording))

    def agent_says(self, line: str) -> None:
        self._lines.append(line)

    def client_sends(self, at_s: float, message: dict) -> None:
        self._client.append((at_s, message))

    def run(self, lasting_s: float, *, greet: bool = False) -> Outcome:
        loop = self.loop()
        try:
            with loop.virtual():
                return loop.run_until_complete(self._run(lasting_s, greet))
        finally:
            leaked = [task for task in asyncio.all_tasks(loop) if not task.done()]
            loop.close()
            assert not leaked, f"tasks outlived the call: {leaked}"

    async def _run(self, lasting_s: float, greet: bool) -> Outcome:
        loop = asyncio.get_running_loop()
        language = ScriptedLanguage(self._lines, self.first_token_s)
        scripted: dict[str, Any] = {
            "language": lambda _prompt: language,
            "words": self._words,
            "prosody": self.prosody,
            "policy": lambda: FusedPolicy(ending=EndOfTurn(KNOWN)),
        }
        models = scripted_models(**{**scripted, **self.ears})
        transport = MemoryTransport(SAMPLE_RATE)
        session = VoiceSession(
            self.settings,
            models,
            transport,
            Channel("memory", VOICE_RATE, self.delay_s),
            agent=self.agent,
            edit=self.edit,
            system_prompt="",
            clock=loop.time,
        )
        self.watch(session)
        task = asyncio.create_task(session.run())
        await transport.input().ready.wait()
        if greet:
            await session.greet()
        await self._speak(transport, lasting_s)
        await close(session, task, drain_s=1.0)
        output = transport.output()
        return Outcome(
            history=[dict(message) for message in session.context.messages],
            turns=session.recorder.turns,
            track=output.recording(),
            messages=output.messages,
            asked=language.asked,
        )

    async def _speak(self, transport: MemoryTransport, lasting_s: float) -> None:
        track = np.zeros(samples(lasting_s), np.int16)
        for start_s, end_s in self._sounds:
            sound = speech_like(end_s - start_s)
            track[samples(start_s) : samples(start_s) + len(sound)] = sound
        for start_s, recording in self._recordings:
            track[samples(start_s) : samples(start_s) + len(recording)] = recording
        loop = asyncio.get_running_loop()
        origin = loop.time()
        client = sorted(self._client, key=lambda sent: sent[0])
        for start in range(0, len(track), PACKET):
            while client and client[0][0] * SAMPLE_RATE <= start:
                await transport.input().send(client.pop(0)[1])
            packet = track[start : start + PACKET]
            await transport.input().speak(packet)
            due = origin + (start + len(packet)) / SAMPLE_RATE
            await asyncio.sleep(max(0.0, due - loop.time()))
