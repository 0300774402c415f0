"""A processor of ours in Pipecat's pipeline."""

from pipecat.frames.frames import Frame
from pipecat.processors.frame_processor import FrameDirection, FrameProcessor, FrameProcessorSetup


class Stage(FrameProcessor):
    """A processor that hands its frames over without ceremony.

    Pipecat tells observers of every hand-over, and writes a line of it for its most detailed log,
    whether or not anybody observes or reads: a seventh of what a call costs. Here that is done only
    where somebody observes.
    """

    _observer: object = None

    async def setup(self, setup: FrameProcessorSetup) -> None:
        """Note who may observe."""
        await super().setup(setup)
        self._observer = setup.observer

    async def push_frame(
        self, frame: Frame, direction: FrameDirection = FrameDirection.DOWNSTREAM
    ) -> None:
        """Hand a frame to the neighbour."""
        # Pipecat's observer stands for all others, also where there are none. If it does not say
        # who they are, there may be some.
        if getattr(self._observer, "_proxies", True):
            await super().push_frame(frame, direction)
            return
        is_down = direction is FrameDirection.DOWNSTREAM
        if neighbour := self._next if is_down else self._prev:
            await neighbour.queue_frame(frame, direction)
