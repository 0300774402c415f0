"""What every provider's media stream has in common.

Pipecat's serializers know how audio, keys and clears are written; this is what they lack: when a
stream starts and for whom, marks, and a check of each message before a serializer sees it.
"""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, ClassVar

from pipecat.frames.frames import OutputAudioRawFrame
from pipecat.serializers.base_serializer import FrameSerializer

from agent.transports.phone.call import Capabilities
from agent.transports.phone.dtmf import KEYS
from agent.transports.phone.wire import (
    IGNORED,
    MAX_MESSAGE,
    Event,
    Key,
    MalformedError,
    Media,
    Played,
    Started,
    Stopped,
    parse,
    part,
    require_audio,
    sequence,
    text,
)


class MediaStream(ABC):
    """One connection of a provider.

    Attributes:
        name: Of the provider, as in addresses and settings.
        capabilities: What it can do.
        packet_s: Length of the packets it wants.
        lead_s: Audio it may hold, ahead of what is heard.
        names_call_alike: Whether the stream names the call as the webhook does.
        says_farewell: Whether it is told where the call goes before it closes the stream.
    """

    name: ClassVar[str]
    capabilities: ClassVar[Capabilities]
    packet_s: ClassVar[float] = 0.02
    lead_s: ClassVar[float] = 0.2
    names_call_alike: ClassVar[bool] = True
    says_farewell: ClassVar[bool] = False

    def __init__(self) -> None:
        self.started: Started | None = None
        self._serializer: FrameSerializer | None = None

    @property
    def serializer(self) -> FrameSerializer:
        """Pipecat's part, from the start of the stream on."""
        assert self._serializer is not None
        return self._serializer

    def read(self, data: str | bytes) -> Event:
        """Understand a message.

        Raises:
            MalformedError: It says nothing.
        """
        if len(data) > MAX_MESSAGE:
            raise MalformedError(f"a message of {len(data)} bytes; {MAX_MESSAGE} at most")
        event = self._binary(data) if isinstance(data, bytes) else self._text(data)
        if isinstance(event, Started):
            if self.started is not None:
                raise MalformedError("a second start")
            self._serializer = self._make_serializer(event)
            self.started = event
        elif self.started is None and isinstance(event, Media | Key | Played):
            raise MalformedError("a message before the start")
        return event

    async def reply(self, data: str | bytes) -> str | None:
        """What a message wants to be answered with."""
        return None

    async def audio(self, pcm: bytes, sample_rate: int) -> str | bytes | None:
        """Write audio: 16-bit mono at the stream's rate."""
        frame = OutputAudioRawFrame(audio=pcm, sample_rate=sample_rate, num_channels=1)
        return await self.serializer.serialize(frame)

    def mark(self, name: str) -> str | None:
        """Ask to be told when everything before has been played."""
        return None

    def keys(self, digits: str) -> list[str] | None:
        """Press keys by messages; None where they must be sounded."""
        return None

    async def farewell(self, transfer_to: str | None = None) -> str | None:
        """What is said before the stream is closed; its peer then closes it."""
        return None

    @abstractmethod
    def _text(self, data: str) -> Event: ...

    def _binary(self, data: bytes) -> Event:
        raise MalformedError("binary where text is spoken")

    @abstractmethod
    def _make_serializer(self, started: Started) -> FrameSerializer: ...


class JsonStream(MediaStream):
    """A stream of JSON objects named by ``event``, as Twilio began it."""

    MARK_EVENT: ClassVar[str] = "mark"
    SAMPLE_BYTES: ClassVar[int] = 1

    def _text(self, data: str) -> Event:
        message = parse(data)
        kind = text(message, "event")
        if kind == "start":
            return self._start(message, part(message, "start"))
        if kind == "media":
            return self._media(part(message, "media"))
        if kind == "dtmf":
            return Key(key(text(part(message, "dtmf"), "digit")))
        if kind == self.MARK_EVENT:
            return Played(self._mark_name(message))
        if kind == "stop":
            return Stopped()
        # A newer protocol may say more than we know.
        return IGNORED

    def _media(self, media: Mapping[str, Any]) -> Event:
        if media.get("track") not in (None, "inbound", "inbound_track"):
            return IGNORED
        require_audio(media, sample_bytes=self.SAMPLE_BYTES)
        return Media(sequence(media))

    def _mark_name(self, message: Mapping[str, Any]) -> str:
        return text(part(message, "mark"), "name")

    @abstractmethod
    def _start(self, message: Mapping[str, Any], start: Mapping[str, Any]) -> Started: ...


def key(digit: str) -> str:
    """A key of a telephone.

    Raises:
        MalformedError: It is none.
    """
    if digit not in KEYS:
        raise MalformedError("a key no telephone has")
    return digit


def require_rate(rate: int | None, *allowed: int) -> int:
    """A sample rate the stream may have.

    Raises:
        MalformedError: It has another one.
    """
    if rate not in allowed:
        raise MalformedError(f"a sample rate other than {', '.join(map(str, allowed))} Hz")
    return rate
