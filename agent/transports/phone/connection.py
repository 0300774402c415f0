"""What both directions of a provider's stream share."""

import asyncio
from dataclasses import dataclass, field

from loguru import logger

from agent.transports.phone.inbound import InboundAudio
from agent.transports.phone.line import Line
from agent.transports.phone.playback import PlaybackClock
from agent.transports.phone.providers.stream import MediaStream
from agent.transports.phone.recording import Recording
from agent.transports.phone.wire import (
    MalformedError,
    Started,
)

NETWORK_S = 0.1
"""From us to the caller's ear, beside what the provider holds: one way over the internet, and the
telephone network's own buffers. An estimate; used only where the provider sends no marks."""


@dataclass(slots=True, eq=False)
class Connection:
    """What both directions of a stream share."""

    line: Line
    stream: MediaStream
    started: Started
    inbound: InboundAudio
    clock: PlaybackClock
    malformed: int = 0
    is_closing: bool = False
    recording: Recording | None = None
    progress: asyncio.Event = field(default_factory=asyncio.Event)
    gone: asyncio.Event = field(default_factory=asyncio.Event)

    @property
    def rate(self) -> int:
        """Sample rate both ways, in Hz."""
        return self.started.sample_rate

    def stop_recording(self, now_s: float) -> None:
        """Nothing is kept from now on."""
        if self.recording:
            self.recording.close(now_s)

    def reject(self, why: MalformedError) -> None:
        """Count a message that says nothing."""
        self.malformed += 1
        # The first few tell the operator what is wrong; a flood must not fill the disk.
        if self.malformed <= 3:
            logger.warning("{}: ignored {}", self.stream.name, why)
