"""``WS /v1/realtime?intent=transcription``: OpenAI's Realtime protocol, its transcription part.

What OpenAI's SDK and Pipecat's ``OpenAIRealtimeSTTService`` speak: audio in base64, committed by
the client or by voice activity detection here.
"""

import asyncio
import base64
import binascii
import contextlib
import json
import secrets
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
from starlette.websockets import WebSocket, WebSocketDisconnect

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, seconds
from agent.audio.resample import StreamResampler
from agent.errors import AudioFormatError
from agent.parakeet import g711
from agent.parakeet.engine import Options, Transcript, Update
from agent.parakeet.errors import RequestError
from agent.parakeet.formats import logprobs_of
from agent.parakeet.live import LiveUtterance, stable
from agent.parakeet.realtime_settings import Configuration, Event, EventError, ServerVad
from agent.parakeet.segments import Segment, stitch
from agent.parakeet.service import Service
from agent.vad.endpointer import EndpointerSettings, SpeechStarted, SpeechStopped
from agent.vad.silero import HOP

ROUTE = "realtime"

GOING_AWAY = 1001

_MOST_QUEUED = 500
_LONGEST_APPEND = 15 << 20
"""OpenAI's own bound for one event."""

_PRE_ROLL_S = 0.5
"""Kept before speech is found, in a buffer the client commits by itself."""

Send = Callable[[Event], None]


class _Item:
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


class RealtimeSession:
    """One client's session: events in, events out through `send`."""

    def __init__(self, service: Service, send: Send, model: str | None = None) -> None:
        self.name = f"sess_{secrets.token_hex(8)}"
        self._service = service
        self._emit = send
        # Without a detector the client commits by itself, whatever the protocol's default.
        vad = ServerVad() if service.stream_posterior() is not None else None
        self._configuration = Configuration(model=model, vad=vad)
        self._item: _Item | None = None
        self._next_name = _item_name()
        self._previous: str | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._last_task: asyncio.Task[None] | None = None
        self._has_spoken = False
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
                if configuration.vad is not None and self._posterior is None:
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
            case kind:
                raise EventError(f"this server does not know {kind!r}", "unknown_event", "type")

    def _apply(self) -> None:
        """Start listening anew, with the session's settings."""
        configuration = self._configuration
        self._resampler = StreamResampler(configuration.rate, SAMPLE_RATE)
        if configuration.kind != "audio/pcm":
            self._resampler = StreamResampler(8_000, SAMPLE_RATE)
        self._posterior = self._service.stream_posterior()
        # A client that commits by itself may send silence for minutes: it is left out.
        self._endpointer = (configuration.vad or ServerVad()).endpointer()
        self._carry = np.zeros(0, np.int16)
        self._ring = np.zeros(0, np.int16)
        self._position = 0

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
        if self._posterior is None:
            self._feed(pcm)
            return
        self._carry = np.concatenate([self._carry, pcm])
        while len(self._carry) >= HOP:
            hop, self._carry = self._carry[:HOP], self._carry[HOP:]
            self._position += HOP
            found = self._endpointer.push(self._posterior(hop), self._position)
            self._hear_hop(hop, found)

    def _hear_hop(self, hop: Int16Array, found: SpeechStarted | SpeechStopped | None) -> None:
        vad = self._configuration.vad
        if self._has_spoken:
            self._feed(hop)
        else:
            pre_roll_s = vad.prefix_padding_s if vad else _PRE_ROLL_S
            # What the endpointer needs to be sure lies before the moment it is.
            kept = samples(pre_roll_s + EndpointerSettings().min_speech_s)
            self._ring = np.concatenate([self._ring, hop])[-max(kept, HOP) :]
        if isinstance(found, SpeechStarted) and not self._has_spoken:
            self._has_spoken = True
            if vad is not None:
                start = max(0, found.start_sample - samples(vad.prefix_padding_s))
                self._send(
                    {
                        "type": "input_audio_buffer.speech_started",
                        "audio_start_ms": round(seconds(start) * 1000),
                        "item_id": self._next_name,
                    }
                )
            ring, self._ring = self._ring, np.zeros(0, np.int16)
            self._feed(ring)
        if isinstance(found, SpeechStopped) and vad is not None:
            self._send(
                {
                    "type": "input_audio_buffer.speech_stopped",
                    "audio_end_ms": round(seconds(found.at_sample) * 1000),
                    "item_id": self._next_name,
                }
            )
            self._close_item()

    def _feed(self, pcm: Int16Array) -> None:
        if self._item is None:
            configuration = self._configuration
            options = Options(configuration.language, configuration.hints)
            self._item = _Item(self._next_name, self._service, options, self._send)
            self.idle.clear()
        try:
            self._item.hear(pcm)
        except RequestError as error:
            self._failed(self._item.name, error)
            self._clear()

    def _commit(self) -> None:
        if self._posterior is not None and not self._has_spoken and len(self._ring):
            # Nobody spoke as far as we can tell; the recogniser has the last word.
            self._feed(self._ring)
        if len(self._carry):
            self._feed(self._carry)
        rest = self._resampler.flush()
        if self._item is not None and len(rest):
            self._feed(rest)
        if self._item is None:
            raise EventError("the buffer is empty", "input_audio_buffer_commit_empty")
        self._close_item()
        self._apply_silence()

    def _close_item(self) -> None:
        """Send what was heard to be transcribed; the next item begins."""
        item, self._item = self._item, None
        self._has_spoken = False
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

    def _apply_silence(self) -> None:
        """After a commit, what follows is a new utterance to the detector too."""
        self._posterior = self._service.stream_posterior()
        self._endpointer = (self._configuration.vad or ServerVad()).endpointer()
        self._carry = np.zeros(0, np.int16)
        self._ring = np.zeros(0, np.int16)
        self._position = 0

    def _clear(self) -> None:
        if self._item is not None:
            self._item.abort()
            self._item = None
            if not self._tasks:
                self.idle.set()
        self._has_spoken = False
        self._apply_silence()
        self._resampler.clear()

    async def _finish(self, item: _Item, before: asyncio.Task[None] | None) -> None:
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


async def realtime(service: Service, websocket: WebSocket) -> None:
    """Serve one connection."""
    await websocket.accept(subprotocol=_subprotocol(websocket))
    queue: asyncio.Queue[Event] = asyncio.Queue()

    def send(event: Event) -> None:
        if queue.qsize() < _MOST_QUEUED or not event["type"].endswith(".delta"):
            queue.put_nowait(event)

    session = RealtimeSession(service, send, websocket.query_params.get("model"))
    session.begin()
    tasks = [
        asyncio.create_task(_read(service, websocket, session, send)),
        asyncio.create_task(_write(websocket, queue)),
        asyncio.create_task(_leave(service, session)),
    ]
    try:
        await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        session.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    with contextlib.suppress(RuntimeError, WebSocketDisconnect):
        await websocket.close(GOING_AWAY, "the server shuts down")


async def _read(
    service: Service, websocket: WebSocket, session: RealtimeSession, send: Send
) -> None:
    with contextlib.suppress(WebSocketDisconnect, KeyError):
        while True:
            text = await websocket.receive_text()
            try:
                session.read(_parsed(text))
            except (EventError, AudioFormatError) as error:
                service.metrics.bad_messages.labels(ROUTE).inc()
                send(_told(error))


def _parsed(text: str) -> Mapping[str, Any]:
    try:
        event = json.loads(text)
    except (ValueError, RecursionError):
        raise EventError("not JSON", "invalid_json") from None
    if not isinstance(event, dict):
        raise EventError("an event is an object", "invalid_json")
    return event


def _told(error: EventError | AudioFormatError) -> Event:
    code, param = (
        (error.code, error.param) if isinstance(error, EventError) else ("invalid_value", None)
    )
    return {
        "type": "error",
        "event_id": f"event_{secrets.token_hex(8)}",
        "error": {
            "type": "invalid_request_error",
            "code": code,
            "message": str(error),
            "param": param,
            "event_id": None,
        },
    }


async def _write(websocket: WebSocket, queue: asyncio.Queue[Event]) -> None:
    with contextlib.suppress(WebSocketDisconnect, RuntimeError):
        while True:
            await websocket.send_text(json.dumps(await queue.get()))


async def _leave(service: Service, session: RealtimeSession) -> None:
    """During a drain, go at the first moment between two utterances.

    The protocol has no word for it: a client that reconnects finds another server.
    """
    await service.draining.wait()
    idle = asyncio.create_task(session.idle.wait())
    drained = asyncio.create_task(service.drained.wait())
    await asyncio.wait({idle, drained}, return_when=asyncio.FIRST_COMPLETED)
    idle.cancel()
    drained.cancel()


def _subprotocol(websocket: WebSocket) -> str | None:
    offered = websocket.scope.get("subprotocols") or []
    return "realtime" if "realtime" in offered else None
