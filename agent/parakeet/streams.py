"""Slots of streaming engines: who has one, and what happens when the worker behind it dies."""

import asyncio
import itertools
from collections.abc import Callable
from typing import Protocol

from agent.parakeet import wire
from agent.parakeet.device import Device
from agent.parakeet.engine import Failure, Options, Update
from agent.parakeet.errors import OverloadedError, from_failure

MOST_REPLAYS = 3
"""Times one stream starts over before it is given up."""


class Source(Protocol):
    """Who speaks into a stream: it keeps the audio, for a stream may have to start over."""

    def pcm_bytes(self) -> bytes:
        """All audio so far: int16, 16 kHz."""
        ...


class Stream:
    """One slot, on whichever worker lives."""

    def __init__(
        self,
        hub: "StreamHub",
        number: int,
        options: Options,
        source: Source,
        on_update: Callable[[Update], None],
    ) -> None:
        self.number = number
        self.options = options
        self.device: Device | None = None
        self.replays = 0
        self.final: asyncio.Future[Update] | None = None
        self._hub = hub
        self._source = source
        self._on_update = on_update

    def push(self, pcm: bytes) -> None:
        """Send audio on; what the source already holds is sent again if the worker changes."""
        if self.device is not None:
            self.device.push(self.number, pcm, is_last=False)

    async def finish(self) -> Update:
        """Flush; the final, whichever worker gives it.

        Raises:
            RequestError: The engine could not.
        """
        self.final = asyncio.get_running_loop().create_future()
        if self.device is not None:
            self.device.push(self.number, b"", is_last=True)
        try:
            return await self.final
        finally:
            self._hub.close(self)

    def close(self) -> None:
        """Free the slot; closing twice is no error."""
        self._hub.close(self)

    def start(self, device: Device) -> None:
        """Take a slot of `device` and send all audio so far."""
        self.device = device
        device.open(self.number, self.options)
        pcm = self._source.pcm_bytes()
        if pcm or self.final is not None:
            device.push(self.number, pcm, is_last=self.final is not None)

    def receive(self, update: Update) -> None:
        """Hand on what the engine says."""
        if not update.is_final:
            self._on_update(update)
        elif self.final is not None and not self.final.done():
            self.final.set_result(update)

    def fail(self, failure: Failure) -> None:
        """Tell who waits for the final; without one, partials just stop."""
        if self.final is not None and not self.final.done():
            self.final.set_exception(from_failure(failure))


class StreamHub:
    """All streams of the service, over all devices."""

    def __init__(self) -> None:
        self._devices: dict[int, Device] = {}
        self._streams: dict[int, Stream] = {}
        self._numbers = itertools.count(1)

    @property
    def active(self) -> int:
        """Streams open now."""
        return len(self._streams)

    @property
    def slots(self) -> int:
        """Slots of all living workers."""
        return sum(device.facts.slots for device in self._devices.values() if device.facts)

    def open(self, options: Options, source: Source, on_update: Callable[[Update], None]) -> Stream:
        """Take a slot on the device with the most free ones.

        Raises:
            OverloadedError: None is free.
        """
        device = self._freest()
        # With every worker being replaced, the stream waits for the first one that is ready.
        if device is None and self._devices:
            raise OverloadedError(f"all {self.slots} streaming slots are taken", 1.0)
        stream = Stream(self, next(self._numbers), options, source, on_update)
        self._streams[stream.number] = stream
        if device is not None:
            stream.start(device)
        return stream

    def close(self, stream: Stream) -> None:
        """Free a stream's slot."""
        if self._streams.pop(stream.number, None) is None or stream.device is None:
            return
        if stream.final is None or not stream.final.done() or stream.final.cancelled():
            stream.device.abort(stream.number)
        stream.device = None

    def ready(self, device: Device) -> None:
        """Start what waits for a worker over on this one."""
        if device.facts is None or not device.facts.slots:
            return
        self._devices[device.number] = device
        for stream in list(self._streams.values()):
            if stream.device is None and self._free(device) > 0:
                stream.start(device)

    def answered(self, device: Device, header: wire.Header) -> None:
        """Hand an update to its stream."""
        if header["is"] != "pushed" or header["update"] is None:
            return
        stream = self._streams.get(header["stream"])
        # Closed meanwhile, or started over on another worker.
        if stream is None or stream.device is not device:
            return
        if "failure" not in header["update"]:
            stream.receive(wire.update_from(header["update"]))
            return
        failure = wire.result_from(header["update"])
        assert isinstance(failure, Failure)
        stream.replays += 1
        if stream.replays < MOST_REPLAYS:
            stream.start(device)
        else:
            stream.fail(failure)
            self.close(stream)

    def ended(self, device: Device, _reason: str) -> None:
        """Move a dead worker's streams to others, or let them wait for the next."""
        self._devices.pop(device.number, None)
        for stream in list(self._streams.values()):
            if stream.device is device:
                stream.device = None
                if other := self._freest():
                    stream.start(other)

    def _free(self, device: Device) -> int:
        taken = sum(stream.device is device for stream in self._streams.values())
        return (device.facts.slots if device.facts else 0) - taken

    def _freest(self) -> Device | None:
        free = [device for device in self._devices.values() if self._free(device) > 0]
        return max(free, key=self._free, default=None)
