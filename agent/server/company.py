"""Keeps a caller company who waits: music, while the agent neither hears nor speaks."""

import asyncio
from typing import TYPE_CHECKING

from pipecat.frames.frames import InputTransportMessageFrame, OutputAudioRawFrame

from agent.transports.phone.music import tune

if TYPE_CHECKING:
    from agent.session import VoiceSession

_PACKET_S = 0.1


class HoldMusic:
    """`Company` of a session's caller: through the pipeline, so on every channel alike.

    Args:
        session: Held over the call.
        sample_rate: Of the call, in Hz.
    """

    def __init__(self, session: "VoiceSession", sample_rate: int) -> None:
        self._session = session
        self._rate = sample_rate
        self._playing: asyncio.Task[None] | None = None

    async def begin(self) -> None:
        """Play music, and let the agent neither hear nor speak."""
        await self._mute(muted=True)
        self._playing = self._playing or asyncio.create_task(self._play(), name="hold-music")

    async def end(self) -> None:
        """Go on with the conversation."""
        playing, self._playing = self._playing, None
        if playing:
            playing.cancel()
            await asyncio.gather(playing, return_exceptions=True)
            await self._mute(muted=False)

    async def _play(self) -> None:
        now = asyncio.get_running_loop().time
        due = now()
        for packet in tune(self._rate, _PACKET_S):
            await self._session.worker.queue_frame(
                OutputAudioRawFrame(packet.tobytes(), sample_rate=self._rate, num_channels=1)
            )
            due += _PACKET_S
            await asyncio.sleep(max(0.0, due - now()))

    async def _mute(self, *, muted: bool) -> None:
        message = {"type": "mute", "muted": muted}
        await self._session.worker.queue_frame(InputTransportMessageFrame(message=message))
