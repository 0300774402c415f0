"""What one caller sends must not hold up the others, whose packets leave from the same loop."""

import asyncio

import numpy as np
from pipecat.frames.frames import InputAudioRawFrame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor

from agent.audio.chunk import SAMPLE_RATE
from agent.observe.record import TurnRecorder
from agent.processors.frames import HopFrame
from agent.processors.listening import Listening
from tests.scenarios.fakes import LoudnessPosterior
from tests.scenarios.scripted import ScriptedCall


async def test_many_seconds_in_one_message_are_listened_to_in_slices() -> None:
    listening = Listening(LoudnessPosterior(), TurnRecorder())
    hops: list[tuple[int, int]] = []
    turns = 0

    async def keep(frame, direction=FrameDirection.DOWNSTREAM):
        if isinstance(frame, HopFrame):
            hops.append((frame.chunk.end_sample, turns))

    listening.push_frame = keep  # type: ignore[method-assign]

    async def others() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    beside = asyncio.create_task(others())
    pcm = np.arange(16 * SAMPLE_RATE).astype(np.int16)
    frame = InputAudioRawFrame(audio=pcm.tobytes(), sample_rate=SAMPLE_RATE, num_channels=1)
    await listening.process_frame(frame, FrameDirection.DOWNSTREAM)
    beside.cancel()

    assert [end for end, _ in hops] == [512 * (i + 1) for i in range(500)]
    most = max(np.bincount([turn for _, turn in hops]))
    assert most <= 8, "hops without a break: a quarter of a second"


class Ears(FrameProcessor):
    """Somebody else's stage behind the transport."""

    def __init__(self) -> None:
        super().__init__()
        self.heard = 0

    async def process_frame(self, frame, direction) -> None:
        await super().process_frame(frame, direction)
        self.heard += isinstance(frame, TTSAudioRawFrame)
        await self.push_frame(frame, direction)


def test_a_stage_behind_the_transport_hears_the_agent() -> None:
    ears = Ears()
    call = ScriptedCall(edit=lambda stages: [*stages, ears])
    call.user_says("tell me about saturn", start_s=0.5, end_s=2.0)
    call.agent_says("Saturn is a planet.")
    outcome = call.run(6.0)

    spoken_s = sum(end - start for start, end in outcome.agent_speaks_at())
    assert ears.heard * 0.02 >= spoken_s > 0.5
