"""One caller's utterances, whatever becomes of the connections they come over."""

import asyncio
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from agent.audio.chunk import samples, seconds
from agent.parakeet.engine import Update
from agent.parakeet.errors import OverloadedError, RequestError, TooLongError
from agent.parakeet.live import Final, LiveUtterance
from agent.parakeet.native.messages import (
    Audio,
    BadMessageError,
    Wishes,
    read_deadline,
    read_samples,
    read_utterance,
    read_wishes,
    words_to,
)
from agent.parakeet.service import Service

ROUTE = "stream"

_ACK_EVERY = samples(0.5)
_MOST_UTTERANCES = 64
"""Of one session, open or not yet received: a conversation has one or two."""

_FORGOTTEN = 256

Message = dict[str, Any]
Send = Callable[[Message], None]


@dataclass(slots=True)
class _Utterance:
    """One utterance of a session, until its answer is received."""

    wishes: Wishes
    live: LiveUtterance | None = None
    heard: int = 0
    acked: int = 0
    revision: int = 0
    answer: Message | None = None
    task: asyncio.Task[None] | None = None

    @property
    def state(self) -> str:
        """As ``welcome`` tells it."""
        if self.answer is not None:
            return "final" if self.answer["type"] == "final" else "failed"
        return "finalizing" if self.task is not None else "open"


class Session:
    """One caller, over any number of connections one after another."""

    def __init__(self, service: Service) -> None:
        self.name = f"s-{secrets.token_hex(4)}"
        self.token = secrets.token_urlsafe(24)
        self.wishes = Wishes()
        self._service = service
        self._utterances: dict[int, _Utterance] = {}
        self._forgotten: OrderedDict[int, None] = OrderedDict()
        self._send: Send | None = None
        self._seq = 0

    def attach(self, send: Send) -> None:
        """A connection begins."""
        self._send = send
        self._seq = 0

    def detach(self, send: Send) -> None:
        """A connection ends, unless another one has taken over."""
        if self._send is send:
            self._send = None

    def standing(self) -> list[Message]:
        """Where each utterance stands, for ``welcome``."""
        return [
            {"utterance": number, "sample": utterance.heard, "state": utterance.state}
            for number, utterance in self._utterances.items()
        ]

    def repeat(self) -> None:
        """Send every answer that was not received."""
        for utterance in self._utterances.values():
            if utterance.answer is not None:
                self._tell(utterance.answer)

    def close(self) -> None:
        """Forget everything; frees all slots."""
        for utterance in self._utterances.values():
            if utterance.task is not None:
                utterance.task.cancel()
            if utterance.live is not None:
                utterance.live.abort()
        self._utterances.clear()

    def hear(self, audio: Audio) -> None:
        """Take an audio message."""
        self._seq = max(self._seq, audio.seq)
        if audio.utterance in self._forgotten:
            return
        utterance = self._utterances.get(audio.utterance)
        if utterance is None:
            utterance = self._begin(audio.utterance, self.wishes)
        if audio.sample > utterance.heard:
            self._refuse(
                "gap",
                "samples are missing; send from expected_sample",
                utterance=audio.utterance,
                expected_sample=utterance.heard,
                retryable=True,
            )
            return
        news = audio.pcm[2 * (utterance.heard - audio.sample) :]
        if utterance.live is not None and utterance.task is None and news:
            try:
                utterance.live.append(news)
            except TooLongError as error:
                self._fail(audio.utterance, utterance, error)
                return
            utterance.heard += len(news) // 2
        if utterance.heard - utterance.acked >= _ACK_EVERY or not news:
            self._acknowledge(audio.utterance, utterance)

    def read(self, message: Mapping[str, Any]) -> None:
        """Take a text message other than ``hello``.

        Raises:
            BadMessageError: A field is wrong.
        """
        match message["type"]:
            case "begin":
                number = read_utterance(message)
                if number not in self._utterances and number not in self._forgotten:
                    self._begin(number, read_wishes(message, self.wishes))
            case "finalize":
                self._finalize(message)
            case "abort":
                self._forget(read_utterance(message))
            case "received":
                number = read_utterance(message)
                utterance = self._utterances.get(number)
                if utterance is not None and utterance.answer is not None:
                    self._forget(number)
            case "ping":
                self._tell({**message, "type": "pong"})
            case _:
                pass  # a later version's message

    def _begin(self, number: int, wishes: Wishes) -> _Utterance:
        utterance = self._utterances[number] = _Utterance(wishes)
        try:
            if len(self._utterances) > _MOST_UTTERANCES:
                raise OverloadedError(f"a session has at most {_MOST_UTTERANCES} utterances", 1.0)
            utterance.live = LiveUtterance(
                self._service,
                wishes.options(),
                lambda update: self._partial(number, utterance, update),
                partials=wishes.partials,
            )
        except RequestError as error:
            self._fail(number, utterance, error)
        return utterance

    def _finalize(self, message: Mapping[str, Any]) -> None:
        number, wanted = read_utterance(message), read_samples(message)
        deadline_s = read_deadline(message, self._service.settings.deadline_s)
        utterance = self._utterances.get(number)
        if number in self._forgotten:
            return
        if utterance is None and wanted == 0:
            utterance = self._begin(number, self.wishes)
        if utterance is None:
            self._refuse(
                "unknown_utterance",
                "it is neither open nor answered; send its audio again",
                utterance=number,
            )
        elif utterance.answer is not None:
            self._tell(utterance.answer)
        elif wanted > utterance.heard:
            self._refuse(
                "gap",
                "samples are missing; send from expected_sample, then finalize again",
                utterance=number,
                expected_sample=utterance.heard,
                retryable=True,
            )
        elif wanted < utterance.heard:
            raise BadMessageError(f"the utterance has {utterance.heard} samples already")
        elif utterance.task is None:
            self._acknowledge(number, utterance)
            utterance.task = asyncio.create_task(self._finish(number, utterance, deadline_s))

    async def _finish(self, number: int, utterance: _Utterance, deadline_s: float) -> None:
        clock = asyncio.get_running_loop().time
        started_s = clock()
        assert utterance.live is not None
        try:
            final = await utterance.live.finish(started_s + deadline_s)
        except RequestError as error:
            self._fail(number, utterance, error)
            return
        utterance.live = None
        took_s = clock() - started_s
        metrics = self._service.metrics
        metrics.requests.labels(ROUTE, "final").inc()
        metrics.request_s.labels(ROUTE).observe(took_s)
        metrics.audio_s.labels(ROUTE).inc(seconds(final.samples))
        utterance.answer = _final(number, final, self._service.model, took_s)
        self._tell(utterance.answer)

    def _partial(self, number: int, utterance: _Utterance, update: Update) -> None:
        for endpoint in update.endpoints:
            self._service.metrics.endpoints.labels(endpoint.kind.value).inc()
            self._tell(
                {
                    "type": "endpoint",
                    "utterance": number,
                    "kind": endpoint.kind.value,
                    "sample": endpoint.sample,
                }
            )
        if not utterance.wishes.partials or utterance.task is not None:
            return
        utterance.revision += 1
        self._tell(
            {
                "type": "partial",
                "utterance": number,
                "revision": utterance.revision,
                "text": update.transcript.text,
                "words": words_to(update.transcript.words),
                "through_sample": update.through_sample,
            }
        )

    def _fail(self, number: int, utterance: _Utterance, error: RequestError) -> None:
        if utterance.live is not None:
            utterance.live.abort()
            utterance.live = None
        self._service.metrics.requests.labels(ROUTE, error.code).inc()
        utterance.answer = {
            "type": "error",
            "code": error.code,
            "message": str(error),
            "utterance": number,
            "fatal": True,
            "retryable": error.retryable,
            "retry_after_s": error.retry_after_s,
        }
        self._tell(utterance.answer)

    def _refuse(self, code: str, message: str, **fields: Any) -> None:
        self._tell(
            {
                "type": "error",
                "code": code,
                "message": message,
                "fatal": False,
                "retryable": False,
                **fields,
            }
        )

    def _acknowledge(self, number: int, utterance: _Utterance) -> None:
        utterance.acked = utterance.heard
        self._tell(
            {"type": "ack", "utterance": number, "seq": self._seq, "sample": utterance.heard}
        )

    def _forget(self, number: int) -> None:
        utterance = self._utterances.pop(number, None)
        if utterance is None:
            return
        if utterance.task is not None:
            utterance.task.cancel()
        if utterance.live is not None:
            utterance.live.abort()
        self._forgotten[number] = None
        while len(self._forgotten) > _FORGOTTEN:
            self._forgotten.popitem(last=False)

    def _tell(self, message: Message) -> None:
        if self._send is not None:
            self._send(message)


def _final(number: int, final: Final, model: str, took_s: float) -> Message:
    transcript = final.transcript
    return {
        "type": "final",
        "utterance": number,
        "text": transcript.text,
        "words": words_to(transcript.words),
        "confidence": transcript.confidence,
        "language": transcript.language,
        "samples": final.samples,
        "crc32": final.crc32,
        "model": model,
        "seconds": round(took_s, 4),
    }
