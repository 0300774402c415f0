"""Audio that goes into the pipeline as it comes."""

from pipecat.frames.frames import InputAudioRawFrame
from pipecat.transports.base_input import BaseInputTransport


class StraightInput(BaseInputTransport):
    """An input whose audio is pushed at once, by the one task that reads it.

    Pipecat puts it into a queue first, for a filter and a turn detector that are not here. Taking
    it out again with a time limit costs a task for every packet, fifty a second for each caller,
    and lets what the client says beside its audio overtake it.
    """

    async def push_audio_frame(self, frame: InputAudioRawFrame) -> None:
        """Push audio, unless the transport is paused."""
        if self._params.audio_in_enabled and not self._paused and frame.audio:
            await self.push_frame(frame)
