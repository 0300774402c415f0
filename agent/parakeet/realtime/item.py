"""What one commit transcribes."""

from collections.abc import Callable

from agent.audio.chunk import Int16Array, samples
from agent.parakeet.engine import Options, Transcript, Update
from agent.parakeet.live import LiveUtterance, stable
from agent.parakeet.realtime.settings import Event
from agent.parakeet.segments import Segment, stitch
from agent.parakeet.service import Service

Send = Callable[[Event], None]


class Item:
    """What one commit transcribes: an utterance, or several where someone spoke very long."""

    def __init__(self, name: str, service: Service, options: Options, send: Send) -> None:
        self.name = name
        self._service = service
        self._options = options
        self._send = send
        self._parts: list[LiveUtterance] = []
        self._told = ""
        self._last: Transcript | None = None
        self.samples = 0

    def hear(self, pcm: Int16Array) -> None:
        """Take more audio.

        Raises:
            RequestError: There is no room for it.
        """
        longest = samples(self._service.longest_s)
        for start in range(0, len(pcm), longest):
            piece = pcm[start : start + longest]
            if not self._parts or self._parts[-1].samples + len(piece) > longest:
                self._last = None
                self._parts.append(LiveUtterance(self._service, self._options, self._partial))
            self._parts[-1].append(piece.tobytes())
            self.samples += len(piece)

    def abort(self) -> None:
        """Forget it."""
        for part in self._parts:
            part.abort()

    async def finish(self, deadline_s: float) -> Transcript:
        """The whole text.

        Raises:
            RequestError: Its class says why there is none.
        """
        found: list[tuple[Segment, Transcript]] = []
        start = 0
        try:
            for part in self._parts:
                final = await part.finish(deadline_s)
                found.append((Segment(start, start + final.samples), final.transcript))
                start += final.samples
        finally:
            self.abort()
        return stitch(found)

    def rest(self, text: str) -> str:
        """What of the final text no delta has told; empty where the deltas told something else."""
        return text[len(self._told) :] if text.startswith(self._told) else ""

    def _partial(self, update: Update) -> None:
        for endpoint in update.endpoints:
            self._service.metrics.endpoints.labels(endpoint.kind.value).inc()
        before, self._last = self._last, update.transcript
        # The parts after the first have no deltas: their text would need the first one's final.
        if before is None or len(self._parts) > 1:
            return
        text = stable(before, update.transcript)
        if len(text) > len(self._told) and text.startswith(self._told):
            news, self._told = text[len(self._told) :], text
            self._send(
                {
                    "type": "conversation.item.input_audio_transcription.delta",
                    "item_id": self.name,
                    "content_index": 0,
                    "delta": news,
                }
            )
