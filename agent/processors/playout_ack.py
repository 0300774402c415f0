"""Behind the transport: what it has taken."""

from pipecat.frames.frames import Frame, TTSAudioRawFrame
from pipecat.processors.frame_processor import FrameDirection

from agent.processors.playout import Playout
from agent.stage import Stage


class PlayoutAck(Stage):
    """Stands behind the transport and tells `Playout` what it has taken.

    Attributes:
        passes_audio: Whether somebody behind wants speech too. The rest of our pipeline does not.
    """

    def __init__(self, playout: Playout) -> None:
        super().__init__(enable_direct_mode=True)  # Waits for nothing: see `processors`.
        self._playout = playout
        self.passes_audio = True

    async def process_frame(self, frame: Frame, direction: FrameDirection) -> None:
        """Count packets; pass everything else on."""
        await super().process_frame(frame, direction)
        if isinstance(frame, TTSAudioRawFrame) and direction is FrameDirection.DOWNSTREAM:
            self._playout.taken()
            if not self.passes_audio:
                return
        await self.push_frame(frame, direction)
