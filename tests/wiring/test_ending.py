"""A conversation ends when it is told to, whatever part of it hangs."""

import asyncio
import threading

from agent.agent import Agent
from agent.session import Channel, Models, VoiceSession, close
from agent.settings import Settings
from agent.transports.memory import MemoryTransport
from agent.turns.policy import FusedPolicy
from tests.scenarios.fakes import (
    VOICE_RATE,
    FixedProsody,
    LoudnessPosterior,
    ScriptedLanguage,
    ScriptedRecogniser,
    SteadyVoice,
)
from tests.virtually import virtually


class HangingVoice(SteadyVoice):
    """A provider that takes a clause and never answers."""

    def __init__(self):
        super().__init__()
        self.asked, self.answers = threading.Event(), threading.Event()

    def speak(self, clause):
        self.asked.set()
        self.answers.wait(600)
        yield from super().speak(clause)


def session_on(transport, voice):
    models = Models(
        silero=LoudnessPosterior(),
        smart_turn=FixedProsody(0.9),
        recogniser=lambda: ScriptedRecogniser([]),
        policy=FusedPolicy,
        voice=voice,
        language=lambda _prompt: ScriptedLanguage([]),
        names={},
    )
    channel = Channel("memory", VOICE_RATE, delay_s=0.0)
    agent = Agent(name="test", greeting="Good morning to you.")
    return VoiceSession(Settings(), models, transport, channel, agent=agent, system_prompt="")


async def test_a_voice_that_hangs_does_not_keep_the_conversation():
    voice, transport = HangingVoice(), MemoryTransport()
    session = session_on(transport, voice)
    task = asyncio.create_task(session.run())
    await transport.input().ready.wait()
    await session.greet()
    await asyncio.to_thread(voice.asked.wait, 30)
    await close(session, task, drain_s=0.1)
    done, _ = await asyncio.wait({task}, timeout=60)
    voice.answers.set()
    assert done


def test_a_line_that_takes_nothing_does_not_keep_the_conversation():
    async def conversation():
        transport = MemoryTransport()
        stuck = asyncio.Event()
        output = transport.output()

        async def never(_frame):
            stuck.set()
            await asyncio.Event().wait()

        output.write_audio_frame = never
        session = session_on(transport, SteadyVoice())
        task = asyncio.create_task(session.run())
        await transport.input().ready.wait()
        await session.greet()
        await session.greet()
        await stuck.wait()
        await close(session, task, drain_s=0.1)
        done, _ = await asyncio.wait({task}, timeout=60)
        return done

    # Pipecat waits ten seconds for what is stuck.
    assert virtually(conversation())
