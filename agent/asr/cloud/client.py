"""What every cloud client is: growing audio in, one answer out."""

import asyncio
from dataclasses import dataclass
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


@dataclass(frozen=True, slots=True)
class CloudSettings:
    """Where the cloud is, and what it is told.

    Attributes:
        url: ``ws://host:8010`` or ``ws://host:8010/v1/stream`` is our own service,
            ``ws.../realtime...`` OpenAI's Realtime protocol, ``http...`` its transcriptions, such
            as ``https://api.openai.com/v1``. With ``wss`` and ``https`` likewise.
        key: Bearer token; empty for none.
        model: As the server names it; our own service knows by itself.
        language: ISO 639-1; empty lets the model choose.
        hints: Names and products to expect.
    """

    url: str
    key: str = ""
    model: str = "whisper-1"
    language: str = ""
    hints: tuple[str, ...] = ()

    @property
    def headers(self) -> dict[str, str]:
        """What every request carries."""
        return {"Authorization": f"Bearer {self.key}"} if self.key else {}

    def described(self) -> dict[str, str]:
        """The transcription that is wanted, in the fields of OpenAI's protocols."""
        wanted = {"model": self.model}
        if self.language:
            wanted["language"] = self.language
        if self.hints:
            wanted["prompt"] = ", ".join(self.hints)
        return wanted


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
