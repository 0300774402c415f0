"""One utterance as it is spoken: audio in, partials, and the final."""

import asyncio
import contextlib
import zlib
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.parakeet.batching import Priority
from agent.parakeet.engine import Options, Transcript, Update
from agent.parakeet.errors import DeadlineError, DrainingError, OverloadedError, TooLongError
from agent.parakeet.repetition import without_loops
from agent.parakeet.service import Service
from agent.parakeet.streams import Stream


@dataclass(frozen=True, slots=True)
class Final:
    """What was said, and what was heard to know it.

    Attributes:
        transcript: Text and words.
        samples: Of the utterance, at 16 kHz.
        crc32: zlib's, of its PCM bytes.
    """

    transcript: Transcript
    samples: int
    crc32: int


class LiveUtterance:
    """One utterance. Keeps its audio until it is answered, so a dead worker costs time, not words.

    With an engine for whole utterances the final comes from that one, which is more accurate; a
    streaming engine then gives the partials. With a streaming engine alone it gives both.
    """

    def __init__(
        self,
        service: Service,
        options: Options,
        on_update: Callable[[Update], None],
        *,
        partials: bool = True,
    ) -> None:
        """Begin.

        Args:
            service: What recognises it.
            options: What is wanted.
            on_update: Called on the loop with each partial and its endpoints; must not block.
            partials: Whether to take a streaming slot, where the final does not need one.

        Raises:
            DrainingError: The service goes away.
            OverloadedError: There is no slot, and the final needs one.
        """
        if service.is_draining:
            raise DrainingError("this server is going away; begin the utterance elsewhere")
        self._service = service
        self._options = options
        self._pcm = bytearray()
        self._crc32 = 0
        self._from_batch = service.has_batches
        self._occupied = contextlib.ExitStack()
        self._stream: Stream | None = None
        if not self._from_batch or (partials and service.has_streams):
            try:
                self._stream = service.hub.open(options, self, on_update)
            except OverloadedError:
                service.metrics.rejected.labels("slots").inc()
                # A final without partials is better than no final.
                if not self._from_batch:
                    raise
        self._occupied.enter_context(service.occupied(is_live=True))

    @property
    def samples(self) -> int:
        """Samples heard so far, at 16 kHz."""
        return len(self._pcm) // 2

    def pcm_bytes(self) -> bytes:
        """All audio so far: int16, 16 kHz."""
        return bytes(self._pcm)

    def pcm(self) -> Int16Array:
        """All audio so far: shape (n,), int16, 16 kHz."""
        return np.frombuffer(bytes(self._pcm), np.int16)

    def append(self, pcm: bytes) -> None:
        """Hear more.

        Args:
            pcm: int16 little-endian, 16 kHz mono, whole samples.

        Raises:
            TooLongError: The utterance grows beyond what an engine takes; nothing was added.
        """
        longest = round(self._service.longest_s * SAMPLE_RATE)
        if self.samples + len(pcm) // 2 > longest:
            raise TooLongError(f"an utterance has at most {self._service.longest_s:.0f} s")
        self._pcm += pcm
        self._crc32 = zlib.crc32(pcm, self._crc32)
        if self._stream is not None:
            self._stream.push(pcm)

    async def finish(self, deadline_s: float) -> Final:
        """Close the utterance and wait for its final.

        Args:
            deadline_s: On the loop's clock; this returns or raises by then.

        Raises:
            RequestError: Its class says why there is no final.
        """
        try:
            if self._from_batch:
                self._close_stream()
                transcript = await self._service.recognise(
                    self.pcm(), self._options, Priority.LIVE, deadline_s
                )
            else:
                transcript = await self._from_stream(deadline_s)
            return Final(transcript, self.samples, self._crc32)
        finally:
            self.abort()

    def abort(self) -> None:
        """Forget the utterance; its slot is free. Once finished, this does nothing."""
        self._close_stream()
        self._occupied.close()

    async def _from_stream(self, deadline_s: float) -> Transcript:
        assert self._stream is not None
        try:
            async with asyncio.timeout_at(deadline_s):
                update = await self._stream.finish()
        except TimeoutError:
            raise DeadlineError("no transcript in time; the server is busy") from None
        transcript, cut_words = without_loops(update.transcript)
        if cut_words:
            self._service.metrics.repeated_words.inc(cut_words)
        return transcript

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None


def stable(before: Transcript, now: Transcript) -> str:
    """The words two partials in a row agree on, less the last: what will hardly change."""
    agreed = []
    for old, new in zip(before.text.split(), now.text.split(), strict=False):
        if old != new:
            break
        agreed.append(new)
    return " ".join(agreed[:-1])


def without_audio(update: Update) -> Update:
    """An update's text without words, for callers that did not ask for them."""
    return replace(update, transcript=replace(update.transcript, words=()))
