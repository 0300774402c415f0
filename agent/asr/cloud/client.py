"""What every cloud client is: growing audio in, one answer out."""

import asyncio
from typing import Protocol

from agent.asr.hybrid.audio import UtteranceAudio
from agent.asr.hybrid.events import Answer
from agent.audio.chunk import Int16Array
from agent.errors import DegradedError, RetryError


class CloudLostError(RetryError):
    """The connection broke or the server failed: the same audio may succeed if sent again.

    Its text is constant, so that failures can be counted by it; what varies is its cause.
    """


class CloudRefusedError(DegradedError):
    """The server is well and will not take this audio."""


class Feed:
    """One attempt's view of an utterance's audio: it grows until it is closed.

    Any stretch can be read again, so that a client can mend its connection by itself.
    """

    def __init__(self, audio: UtteranceAudio) -> None:
        self._audio = audio
        self._grown = asyncio.Event()
        self._end: int | None = None

    @property
    def end(self) -> int | None:
        """How many samples there are in all; None while it still grows."""
        return self._end

    def grow(self) -> None:
        """Tell the reader that the audio has grown."""
        self._grown.set()

    def close(self) -> None:
        """Tell the reader that this was all."""
        if self._end is None:
            self._end = len(self._audio)
        self._grown.set()

    def read(self, start: int) -> Int16Array:
        """Everything from sample `start` on, as far as there is any; shape (n,), int16, 16 kHz."""
        return self._audio.read(start, len(self._audio) if self._end is None else self._end)

    async def wait(self, start: int) -> bool:
        """Wait until there are samples from `start` on.

        Returns:
            False if there never will be: the feed is closed and `start` is its end.
        """
        while True:
            self._grown.clear()
            if self._end is not None:
                return start < self._end
            if start < len(self._audio):
                return True
            await self._grown.wait()


class CloudClient(Protocol):
    """Recognises on another machine. Each session has its own, used on one event loop."""

    async def transcribe(self, feed: Feed) -> Answer:
        """Send the audio as it grows; when it is closed, ask for its text.

        Several may run at once. Cancelling one costs the others nothing.

        Raises:
            CloudLostError: See there.
            CloudRefusedError: See there.
        """
        ...

    async def close(self) -> None:
        """Hang up."""
        ...
