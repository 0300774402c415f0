"""What a line does with audio, and what becomes of it while the line takes none."""

import asyncio

import numpy as np
import pytest
from pipecat.audio.dtmf.types import KeypadEntry
from pipecat.frames.frames import (
    BotStoppedSpeakingFrame,
    EndFrame,
    InputAudioRawFrame,
    OutputDTMFUrgentFrame,
    TTSAudioRawFrame,
    TTSStartedFrame,
)
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineParams, PipelineWorker
from pipecat.processors.frame_processor import FrameProcessor
from pipecat.workers.runner import WorkerRunner

from agent.transports.line import LineTransport, Told
from agent.transports.phone.call import Call, CallFacts, Capabilities, Sound
from tests.virtually import virtually

RATE, PACKET_S = 8_000, 0.02


class Line(Told):
    """Takes a packet every 20 ms while it is open, as one does whose peer may hold the call."""

    sample_rate = RATE

    def __init__(self):
        super().__init__()
        self.call = Call(CallFacts("x", "test"), Capabilities(dtmf_out=True), self, Sound(RATE, 0))
        self.open = asyncio.Event()
        self.open.set()
        self.taken, self.pressed, self.is_left = [], [], False

    async def answer(self):
        self._on_talking()

    async def write(self, pcm):
        await self.open.wait()
        await asyncio.sleep(PACKET_S)
        self.taken.append(pcm[0])
        return True

    async def drain(self):
        pass

    async def press(self, keys):
        await asyncio.sleep(0.3 * len(keys))
        self.pressed.append(keys)

    async def leave(self):
        self.is_left = True


class Witness(FrameProcessor):
    """Keeps what passes."""

    def __init__(self):
        super().__init__(enable_direct_mode=True)
        self.seen = []

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        self.seen.append(frame)
        await self.push_frame(frame, direction)

    def kinds(self):
        return [type(frame) for frame in self.seen]


def packet(number):
    pcm = np.full(round(RATE * PACKET_S), number, np.int16)
    return TTSAudioRawFrame(audio=pcm.tobytes(), sample_rate=RATE, num_channels=1)


class Bench:
    """A pipeline that is nothing but a line."""

    def __init__(self):
        self.line = Line()
        transport = LineTransport(self.line)
        self.before, self.behind = Witness(), Witness()
        stages = [transport.input(), self.before, transport.output(), self.behind]
        self.worker = PipelineWorker(
            Pipeline(stages),
            params=PipelineParams(audio_in_sample_rate=RATE, audio_out_sample_rate=RATE),
            enable_rtvi=False,
            enable_turn_tracking=False,
            idle_timeout_secs=None,
        )
        self.runner = WorkerRunner(handle_sigint=False)

    async def __aenter__(self):
        await self.runner.add_workers(self.worker)
        self.running = asyncio.create_task(self.runner.run())
        await asyncio.sleep(0.1)
        return self

    async def __aexit__(self, *_):
        await self.worker.cancel()
        await asyncio.wait_for(self.running, 60)

    async def say(self, *numbers):
        for number in numbers:
            await self.worker.queue_frame(packet(number))


@pytest.mark.parametrize("away_s", [3.0, 12.0, 300.0])
def test_speech_goes_on_after_a_hold_however_long_it_was(away_s):
    async def test():
        async with Bench() as bench:
            await bench.say(1, 2, 3)
            await asyncio.sleep(0.03)
            bench.line.open.clear()
            await bench.say(4, 5)
            await asyncio.sleep(away_s)
            bench.line.open.set()
            await bench.say(6)
            await asyncio.sleep(1.0)
            assert bench.line.taken == [1, 2, 3, 4, 5, 6]

    virtually(test())


def test_a_conversation_ends_though_its_line_takes_nothing():
    async def test():
        async with Bench() as bench:
            await bench.say(1, 2, 3)
            bench.line.open.clear()
            await asyncio.sleep(0.1)
            await bench.worker.queue_frame(EndFrame())
            await asyncio.wait_for(bench.running, 30)
            assert bench.line.is_left

    virtually(test())


def test_what_was_said_before_the_end_is_sent_however_long_it_takes():
    async def test():
        async with Bench() as bench:
            numbers = [n % 100 for n in range(1500)]
            await bench.say(*numbers)
            await bench.worker.queue_frame(EndFrame())
            await asyncio.wait_for(bench.running, 60)
            assert bench.line.taken == [*numbers, 0], "and a little silence behind it"
            assert bench.line.is_left

    virtually(test())


def test_who_stops_without_saying_so_has_stopped_all_the_same():
    async def test():
        async with Bench() as bench:
            await bench.worker.queue_frame(TTSStartedFrame())
            await bench.say(1, 2)
            await asyncio.sleep(2.5)
            assert BotStoppedSpeakingFrame not in bench.behind.kinds()
            await asyncio.sleep(1.0)
            assert bench.behind.kinds().count(BotStoppedSpeakingFrame) == 1
            await bench.say(3)
            await asyncio.sleep(0.1)
            assert bench.line.taken == [1, 2, 3]

    virtually(test())


def test_speech_goes_on_while_keys_are_pressed():
    async def test():
        async with Bench() as bench:
            keys = [KeypadEntry.ONE, KeypadEntry.TWO, KeypadEntry.THREE]
            await bench.worker.queue_frame(OutputDTMFUrgentFrame(buttons=keys))
            await bench.say(1, 2, 3)
            await asyncio.sleep(0.2)
            assert bench.line.taken == [1, 2, 3]
            assert bench.line.pressed == []
            await asyncio.sleep(1.0)
            assert bench.line.pressed == ["123"]

    virtually(test())


def test_what_a_caller_says_is_read_in_order_however_far_we_are_behind():
    async def test():
        async with Bench() as bench:
            hear = bench.line._hear
            # One go of the event loop: the reader comes only after all of it.
            for number in (1, 2, 3):
                hear(np.full(160, number, np.int16))
            bench.line._on_key("5")
            hear(np.full(160, 4, np.int16))
            await asyncio.sleep(0.1)
            heard = [
                bytes(frame.audio[::320]) if isinstance(frame, InputAudioRawFrame) else "key"
                for frame in bench.before.seen
                if isinstance(frame, InputAudioRawFrame) or "DTMF" in type(frame).__name__
            ]
            assert heard == [b"\x01\x02\x03", "key", b"\x04"]

    virtually(test())
