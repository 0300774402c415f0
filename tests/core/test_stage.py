"""Our processors hand frames over; who observes a pipeline sees it, and nobody else pays for it."""

import asyncio
import contextlib

import pytest
from pipecat.frames.frames import SystemFrame, TextFrame
from pipecat.observers.base_observer import BaseObserver
from pipecat.pipeline.pipeline import Pipeline
from pipecat.pipeline.worker import PipelineWorker
from pipecat.processors.frame_processor import FrameDirection
from pipecat.workers.runner import WorkerRunner

from agent.stage import Stage


class Seen(BaseObserver):
    def __init__(self):
        super().__init__()
        self.between = []

    async def on_push_frame(self, data):
        if isinstance(data.frame, TextFrame):
            self.between.append((data.source, data.destination))


class Passing(Stage):
    def __init__(self, **options):
        super().__init__(**options)
        self.seen = []

    async def process_frame(self, frame, direction):
        await super().process_frame(frame, direction)
        self.seen.append((frame, direction))
        await self.push_frame(frame, direction)


@contextlib.asynccontextmanager
async def running(stages, observers=()):
    worker = PipelineWorker(
        Pipeline(stages),
        observers=list(observers),
        enable_rtvi=False,
        enable_turn_tracking=False,
        idle_timeout_secs=None,
    )
    runner = WorkerRunner(handle_sigint=False)
    await runner.add_workers(worker)
    task = asyncio.create_task(runner.run())
    yield worker
    await worker.cancel()
    await asyncio.wait_for(task, 10)


async def until(condition):
    async with asyncio.timeout(10):
        while not condition():  # noqa: ASYNC110 - has no event
            await asyncio.sleep(0.01)


def texts(stage):
    return [frame.text for frame, _ in stage.seen if isinstance(frame, TextFrame)]


@pytest.mark.parametrize("is_observed", [True, False])
async def test_frames_pass_in_order_both_ways(is_observed):
    one, two = Passing(enable_direct_mode=True), Passing()
    async with running([one, two], [Seen()] if is_observed else []) as worker:
        for number in range(50):
            await worker.queue_frame(TextFrame(str(number)))
        await until(lambda: len(texts(two)) == 50)
        assert texts(one) == texts(two) == [str(number) for number in range(50)]
        back = SystemFrame()
        await two.push_frame(back, FrameDirection.UPSTREAM)
        await until(lambda: (back, FrameDirection.UPSTREAM) in one.seen)


async def test_who_observes_from_the_beginning_or_from_now_on_sees_each_hand_over():
    first, later = Seen(), Seen()
    one, two = Passing(), Passing()
    async with running([one, two], [first]) as worker:
        await worker.queue_frame(TextFrame("a"))
        await until(lambda: (one, two) in first.between)
    one, two = Passing(), Passing()
    async with running([one, two]) as worker:
        await worker.queue_frame(TextFrame("a"))
        await until(lambda: texts(two) == ["a"])
        worker.add_observer(later)
        await worker.queue_frame(TextFrame("b"))
        await until(lambda: (one, two) in later.between)
        await worker.remove_observer(later)
        count = len(later.between)
        await worker.queue_frame(TextFrame("c"))
        await until(lambda: texts(two) == ["a", "b", "c"])
        assert len(later.between) == count
