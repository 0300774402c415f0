"""One client of the Realtime protocol: events in, events out. Knows nothing of sockets."""

import asyncio
import base64
import binascii
import secrets
from collections.abc import Mapping
from typing import Any

import numpy as np

from agent.audio.chunk import SAMPLE_RATE, Int16Array, seconds
from agent.audio.resample import StreamResampler
from agent.parakeet import g711
from agent.parakeet.engine import Options
from agent.parakeet.errors import RequestError
from agent.parakeet.formats import logprobs_of
from agent.parakeet.realtime.ear import Ear, Speech, Started, Stopped
from agent.parakeet.realtime.item import Item, Send
from agent.parakeet.realtime.settings import Configuration, Event, EventError, ServerVad
from agent.parakeet.service import Service

ROUTE = "realtime"

_LONGEST_APPEND = 15 << 20
"""OpenAI's own bound for one event."""


class RealtimeSession:
    """One client's session: events in, events out through `send`."""

    def __init__(self, service: Service, send: Send, model: str | None = None) -> None:
        self.name = f"sess_{secrets.token_hex(8)}"
        self._service = service
        self._emit = send
        # Without a detector the client commits by itself, whatever the protocol's default.
        vad = ServerVad() if service.stream_posterior() is not None else None
        self._configuration = Configuration(model=model, vad=vad)
        self._item: Item | None = None
        self._next_name = _item_name()
        self._previous: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_task: asyncio.Task[None] | None = None
        self.idle = asyncio.Event()
        """Set while nobody is being heard or transcribed."""
        self.idle.set()
        self._apply()

    def begin(self) -> None:
        """Say what the session is."""
        self._send({"type": "session.created", "session": self._described()})

    def close(self) -> None:
        """Forget everything."""
        if self._item is not None:
            self._item.abort()
        for task in self._tasks:
            task.cancel()

    def read(self, event: Mapping[str, Any]) -> None:
        """Do what an event asks.

        Raises:
            EventError: It cannot be done.
        """
        match event.get("type"):
            case "session.update" | "transcription_session.update":
                session = event.get("session")
                if not isinstance(session, dict):
                    raise EventError("session.update has a session", "invalid_value", "session")
                configuration = self._configuration.updated(session)
                if configuration.vad is not None and self._service.stream_posterior() is None:
                    raise EventError(
                        "this server runs without a speech detector; commit by yourself",
                        "invalid_value",
                        "turn_detection",
                    )
                self._configuration = configuration
                self._apply()
                self._send({"type": "session.updated", "session": self._described()})
            case "input_audio_buffer.append":
                self._append(event.get("audio"))
            case "input_audio_buffer.commit":
                self._commit()
            case "input_audio_buffer.clear":
                self._clear()
                self._send({"type": "input_audio_buffer.cleared"})
            case None:
                raise EventError("an event has a type", "invalid_value", "type")
            case kind:
                raise EventError(f"this server does not know {kind!r}", "unknown_event", "type")

    def _apply(self) -> None:
        """Start listening anew, with the session's settings."""
        configuration = self._configuration
        self._resampler = StreamResampler(configuration.rate, SAMPLE_RATE)
        if configuration.kind != "audio/pcm":
            self._resampler = StreamResampler(8_000, SAMPLE_RATE)
        self._ear = self._new_ear()

    def _new_ear(self) -> Ear:
        """To the detector, too, what follows is new."""
        service, vad = self._service, self._configuration.vad
        # Nothing is left out for a client that commits by itself to a server without guards.
        hears_all = vad is None and not service.is_guarded
        return Ear(vad, None if hears_all else service.stream_posterior())

    def _append(self, audio: Any) -> None:
        if not isinstance(audio, str) or len(audio) > _LONGEST_APPEND:
            raise EventError("audio is base64, at most 15 MiB", "invalid_value", "audio")
        try:
            data = base64.b64decode(audio, validate=True)
        except (binascii.Error, ValueError):
            raise EventError("audio is not base64", "invalid_value", "audio") from None
        if self._configuration.kind != "audio/pcm":
            pcm = g711.decode(data, self._configuration.kind)
        elif len(data) % 2:
            raise EventError("audio ends within a sample", "invalid_value", "audio")
        else:
            pcm = np.frombuffer(data, np.int16)
        self._hear(self._resampler.push(pcm))

    def _hear(self, pcm: Int16Array) -> None:
        ear, is_told = self._ear, self._configuration.vad is not None
        for heard in ear.push(pcm):
            match heard:
                case Speech(speech):
                    self._feed(speech)
                case Started(at_sample) if is_told:
                    self._tell_speech("started", "audio_start_ms", at_sample)
                case Stopped(at_sample) if is_told:
                    self._tell_speech("stopped", "audio_end_ms", at_sample)
                    self._close_item()
            if self._ear is not ear:
                # The utterance was refused: so is what came with it.
                return

    def _tell_speech(self, what: str, field: str, sample: int) -> None:
        self._send(
            {
                "type": f"input_audio_buffer.speech_{what}",
                field: round(seconds(sample) * 1000),
                "item_id": self._next_name,
            }
        )

    def _feed(self, pcm: Int16Array) -> None:
        if self._item is None:
            configuration = self._configuration
            options = Options(configuration.language, configuration.hints)
            self._item = Item(self._next_name, self._service, options, self._send)
            self.idle.clear()
        try:
            self._item.hear(pcm)
        except RequestError as error:
            self._failed(self._item.name, error)
            self._clear()

    def _commit(self) -> None:
        if len(unheard := self._ear.rest()):
            self._feed(unheard)
        rest = self._resampler.flush()
        if self._item is not None and len(rest):
            self._feed(rest)
        if self._item is None:
            raise EventError("the buffer is empty", "input_audio_buffer_commit_empty")
        self._close_item()
        self._ear = self._new_ear()

    def _close_item(self) -> None:
        """Send what was heard to be transcribed; the next item begins."""
        item, self._item = self._item, None
        self._ear.pause()
        if item is None:
            return
        self._send(
            {
                "type": "input_audio_buffer.committed",
                "item_id": item.name,
                "previous_item_id": self._previous,
            }
        )
        self._previous, self._next_name = item.name, _item_name()
        task = asyncio.create_task(self._finish(item, self._last_task))
        self._last_task = task
        self._tasks.add(task)
        task.add_done_callback(self._finished)

    def _finished(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not self._tasks and self._item is None:
            self.idle.set()

    def _clear(self) -> None:
        if self._item is not None:
            self._item.abort()
            self._item = None
            if not self._tasks:
                self.idle.set()
        self._ear = self._new_ear()
        self._resampler.clear()

    async def _finish(self, item: Item, before: asyncio.Task[None] | None) -> None:
        service = self._service
        loop = asyncio.get_running_loop()
        started_s = loop.time()
        try:
            heard = await item.finish(started_s + service.settings.deadline_s)
        except RequestError as error:
            self._failed(item.name, error)
            return
        # Finals in the order in which they were spoken.
        if before is not None:
            await asyncio.wait({before})
        service.metrics.requests.labels(ROUTE, "final").inc()
        service.metrics.request_s.labels(ROUTE).observe(loop.time() - started_s)
        service.metrics.audio_s.labels(ROUTE).inc(seconds(item.samples))
        name = "conversation.item.input_audio_transcription"
        place = {"item_id": item.name, "content_index": 0}
        if rest := item.rest(heard.text):
            self._send({"type": f"{name}.delta", **place, "delta": rest})
        event: Event = {
            "type": f"{name}.completed",
            **place,
            "transcript": heard.text,
            "usage": {"type": "duration", "seconds": seconds(item.samples)},
        }
        if self._configuration.logprobs:
            event["logprobs"] = logprobs_of(heard.words)
        self._send(event)

    def _failed(self, item: str, error: RequestError) -> None:
        self._service.metrics.requests.labels(ROUTE, error.code).inc()
        self._send(
            {
                "type": "conversation.item.input_audio_transcription.failed",
                "item_id": item,
                "content_index": 0,
                "error": {"type": "transcription_error", "code": error.code, "message": str(error)},
            }
        )

    def _described(self) -> Event:
        kind = {"id": self.name, "object": "realtime.transcription_session"}
        return {**kind, "type": "transcription", **self._configuration.described()}

    def _send(self, event: Event) -> None:
        self._emit({"event_id": f"event_{secrets.token_hex(8)}", **event})


def _item_name() -> str:
    return f"item_{secrets.token_hex(8)}"
