"""`duplex talk`: a conversation through this machine's sound card."""

import asyncio

from agent.llm.prompt import system_prompt
from agent.runtimes import Runtimes
from agent.server.tracing import traced, traces
from agent.session import Channel, VoiceSession
from agent.settings import Settings
from agent.transports.soundcard import SoundCardTransport

_CHANNEL = "sound card"
_RATE = 24_000
_DELAY_S = 0.16
"""Our queue and the driver's."""


async def talk(settings: Settings, input_device: str | None, output_device: str | None) -> None:
    """Talk until interrupted.

    Raises:
        SettingsError: No usable sound device.
        MissingModelError: A weight is absent or damaged.
    """
    tracer = traces(settings.traces)
    transport = SoundCardTransport(input_device, output_device)
    print("Loading the models. Use a headset: this machine's loudspeaker is not yet cancelled.")
    runtimes = Runtimes(settings)
    try:
        models = await runtimes.load()
        session = VoiceSession(
            settings,
            models,
            transport,
            Channel(_CHANNEL, _RATE, _DELAY_S, cancels_echo=False),
            system_prompt=system_prompt(settings.agent.instructions),
        )
        with traced(tracer, session.recorder, session=session.id, channel=_CHANNEL):
            running = asyncio.create_task(session.run())
            await session.greet()
            print("Speak. Ctrl+C ends.")
            await running
    finally:
        await runtimes.close()
