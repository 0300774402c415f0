"""A scripted telephone call through a provider's stream, on virtual time."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from agent.agent import Agent
from agent.audio.chunk import Int16Array, samples
from agent.audio.resample import resample
from agent.eval.scripted import unused_executor
from agent.session import Channel, Models, VoiceSession, close
from agent.settings import Settings
from agent.transports.phone.call import Call, CallFacts
from agent.transports.phone.opening import opened
from agent.transports.phone.providers.exotel import ExotelStream
from agent.transports.phone.providers.genesys import GenesysStream
from agent.transports.phone.providers.plivo import PlivoStream
from agent.transports.phone.providers.telnyx import TelnyxStream
from agent.transports.phone.providers.twilio import TwilioStream
from agent.transports.phone.providers.vonage import VonageStream
from agent.transports.phone.transport import PhoneTransport
from agent.turns.policy import FusedPolicy
from agent.virtual_time import VirtualLoop
from tests.core.phone.providers import MemoryLine, Side, Telephone
from tests.scenarios.fakes import (
    FixedProsody,
    LoudnessPosterior,
    ScriptedLanguage,
    ScriptedRecogniser,
    SteadyVoice,
    speech_like,
)

STREAMS = {
    stream.name: stream
    for stream in (
        TwilioStream,
        TelnyxStream,
        PlivoStream,
        ExotelStream,
        VonageStream,
        GenesysStream,
    )
}


@dataclass
class CallOutcome:
    """What became of a call. Times are seconds since it began."""

    telephone: Telephone
    transport: PhoneTransport
    history: list[dict]
    closed_at: float | None
    track: Int16Array
    began_s: float = 0.0

    def agent_speaks_at(self) -> list[tuple[float, float]]:
        """Stretches in which the agent sounds at the caller's ear, gaps under 50 ms closed."""
        step = self.telephone.side.rate // 100
        loud = [
            i
            for i in range(len(self.track) // step)
            if np.abs(self.track[i * step : (i + 1) * step]).max() > 300
        ]
        stretches: list[list[int]] = []
        for i in loud:
            if stretches and i - stretches[-1][1] <= 5:
                stretches[-1][1] = i
            else:
                stretches.append([i, i])
        return [(first * 0.01, (last + 1) * 0.01) for first, last in stretches]


@dataclass
class PhoneCall:
    """Write down what is said, then `run`."""

    side: Side
    network_s: float = 0.05
    first_token_s: float = 0.1
    settings: Settings = field(default_factory=Settings)
    greeting: str = "Hello and welcome to the shop."
    disturb: Callable[[list[str | bytes]], list[str | bytes]] = lambda packets: packets
    transfer_to: frozenset[str] = frozenset()
    recordings: Path | None = None
    _words: list[tuple[str, float, float]] = field(default_factory=list)
    _sounds: list[tuple[float, float]] = field(default_factory=list)
    _lines: list[str] = field(default_factory=list)
    _acts: list[tuple[float, Callable[[Call], Awaitable[None]]]] = field(default_factory=list)
    _sends: list[tuple[float, str | bytes]] = field(default_factory=list)

    def caller_says(self, text: str, start_s: float, end_s: float) -> None:
        words = text.split()
        step = (end_s - start_s) / len(words)
        self._words += [
            (word, start_s + i * step, start_s + (i + 1) * step) for i, word in enumerate(words)
        ]
        self._sounds.append((start_s, end_s))

    def agent_says(self, line: str) -> None:
        self._lines.append(line)

    def at(self, at_s: float, act: Callable[[Call], Awaitable[None]]) -> None:
        """Do something with the call."""
        self._acts.append((at_s, act))

    def sends(self, at_s: float, data: str | bytes) -> None:
        """The provider sends something of its own."""
        self._sends.append((at_s, data))

    def run(self, lasting_s: float, *, greet: bool = False, hang_up: bool = False) -> CallOutcome:
        loop = VirtualLoop()
        try:
            with loop.virtual():
                return loop.run_until_complete(self._run(lasting_s, greet, hang_up))
        finally:
            leaked = [task for task in asyncio.all_tasks(loop) if not task.done()]
            loop.close()
            assert not leaked, f"tasks outlived the call: {leaked}"

    async def _run(self, lasting_s: float, greet: bool, hang_up: bool) -> CallOutcome:
        loop = asyncio.get_running_loop()
        telephone = Telephone(self.side, self.network_s)
        line = MemoryLine(telephone)
        for message in self.side.begin():
            telephone.says.put_nowait(message)
        stream = STREAMS[self.side.name]()
        started = await opened(line, stream)
        transport = PhoneTransport(
            line,
            stream,
            CallFacts(started.call_id, stream.name, started.caller, started.called),
            transfer_to=self.transfer_to,
            recordings=self.recordings,
        )
        call = transport.call
        language = ScriptedLanguage(self._lines, self.first_token_s)
        models = Models(
            silero=LoudnessPosterior(),
            smart_turn=FixedProsody(0.9),
            recogniser=lambda: ScriptedRecogniser(self._words),
            policy=FusedPolicy,
            voice=SteadyVoice(),
            language=lambda _prompt: language,
            names={},
            executor=unused_executor,
        )
        channel = Channel(stream.name, call.sound.sample_rate, call.sound.delay_s, fades=False)
        session = VoiceSession(
            self.settings,
            models,
            transport,
            channel,
            agent=Agent("", greeting=self.greeting),
            system_prompt="",
            clock=loop.time,
        )
        call.bind(finish=session.end)
        connected = asyncio.Event()

        async def on_connected(*_: object) -> None:
            connected.set()
            if greet:
                await session.greet()

        async def on_gone(*_: object) -> None:
            await session.cancel()

        transport.add_event_handler("on_client_connected", on_connected)
        transport.add_event_handler("on_client_disconnected", on_gone)
        task = asyncio.create_task(session.run())
        await connected.wait()
        began_s = loop.time()
        await self._speak(telephone, call, lasting_s)
        if hang_up:
            telephone.says.put_nowait(None)
        if not task.done():
            await close(session, task, drain_s=20.0)
        return CallOutcome(
            telephone,
            transport,
            [dict(message) for message in session.context.messages],
            None if line.closed_at is None else line.closed_at - began_s,
            telephone.track(began_s, loop.time()),
            began_s,
        )

    async def _speak(self, telephone: Telephone, call: Call, lasting_s: float) -> None:
        loop = asyncio.get_running_loop()
        rate = self.side.rate
        track = np.zeros(samples(lasting_s, rate), np.int16)
        for start_s, end_s in self._sounds:
            sound = resample(speech_like(end_s - start_s), 16_000, rate)
            at = samples(start_s, rate)
            track[at : at + len(sound)] = sound[: len(track) - at]
        size = rate // 50
        packets = [self.side.media(track[i : i + size]) for i in range(0, len(track), size)]
        packets = self.disturb(packets)
        origin = loop.time()
        acts = sorted(self._acts, key=lambda item: item[0])
        sends = sorted(self._sends, key=lambda item: item[0])
        tasks = []
        for number, packet in enumerate(packets):
            at_s = number * 0.02
            while acts and acts[0][0] <= at_s:
                tasks.append(asyncio.ensure_future(acts.pop(0)[1](call)))
            while sends and sends[0][0] <= at_s:
                telephone.says.put_nowait(sends.pop(0)[1])
            # Sound is sent once it has been spoken.
            await asyncio.sleep(max(0.0, origin + at_s + 0.02 - loop.time()))
            telephone.says.put_nowait(packet)
        await asyncio.gather(*tasks)
