"""The engine that asks a Triton inference server, over KServe v2 and gRPC.

It loads no model. A batch becomes as many requests at once; Triton's own batcher brings them
together again, with those of other clients.
"""

import queue
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

import numpy as np
from loguru import logger

from agent.errors import SettingsError
from agent.parakeet.engine import (
    Batch,
    Facts,
    Failure,
    FailureKind,
    NoSlotError,
    Options,
    Push,
    Transcript,
    Update,
    Utterance,
)
from agent.parakeet.triton.words import words_from

_REFUSALS = {f"{kind}:": kind for kind in (FailureKind.TOO_LONG, FailureKind.BAD_INPUT)}
"""How `backend` marks what trying again cannot mend."""


@dataclass(frozen=True, slots=True)
class TritonSettings:
    """Where the server is.

    Attributes:
        url: Host and gRPC port, such as ``triton:8001``.
        model: Name in the server's repository.
        timeout_s: Of one request, waiting in Triton's queue included.
        ready_s: How long to wait for the server and its model at the start.
        max_batch: Most requests in flight for one batch.
        max_utterance_s: Longest utterance the server's device takes.
        languages: ISO 639-1 codes, comma-separated.
        device: Only a name, for records.
    """

    url: str = "127.0.0.1:8001"
    model: str = "parakeet"
    timeout_s: float = 15.0
    ready_s: float = 300.0
    max_batch: int = 64
    max_utterance_s: float = 60.0
    languages: str = "en"
    device: str = "triton"

    @classmethod
    def from_config(cls, config: Mapping[str, Any]) -> "TritonSettings":
        """Check what the command line gave.

        Raises:
            SettingsError: An unknown key or a wrong type.
        """
        known = {item.name: type(item.default) for item in fields(cls)}
        for key, value in config.items():
            if key not in known:
                raise SettingsError(f"the Triton engine has no {key!r}; it has {sorted(known)}")
            if type(value) is not known[key] and not (known[key] is float and type(value) is int):
                raise SettingsError(f"{key} must be {known[key].__name__}, not {value!r}")
        return cls(**config)


class TritonEngine:
    """See `agent.parakeet.engine.Engine`."""

    def __init__(self, settings: TritonSettings) -> None:
        """Remember the settings; nothing is connected."""
        self._settings = settings

    def load(self) -> Facts:
        """Wait for the server and its model.

        Raises:
            SettingsError: They do not come, or the model has other tensors.
        """
        try:
            from tritonclient import grpc
        except ImportError as error:
            raise SettingsError('pip install "duplex-voice[triton]" brings tritonclient') from error
        settings = self._settings
        self._grpc = grpc
        self._client = grpc.InferenceServerClient(settings.url)
        began_s = time.monotonic()
        while not self._is_ready():
            if time.monotonic() - began_s > settings.ready_s:
                raise SettingsError(
                    f"no model {settings.model!r} at {settings.url} within {settings.ready_s:.0f} "
                    "s: is it Triton's gRPC port, and the model in its repository?"
                )
            time.sleep(0.2)
        logger.info("model {} is ready at {}", settings.model, settings.url)
        return Facts(
            engine="triton",
            model=settings.model,
            device=settings.device,
            max_batch=settings.max_batch,
            max_utterance_s=settings.max_utterance_s,
            languages=tuple(code.strip() for code in settings.languages.split(",")),
        )

    def transcribe(self, utterances: Sequence[Utterance]) -> Batch:
        """Ask for all at once."""
        answers: queue.SimpleQueue[tuple[int, Any, Exception | None]] = queue.SimpleQueue()
        began_s = time.monotonic()
        for place, utterance in enumerate(utterances):
            self._ask(place, utterance, answers)
        results: list[Transcript | Failure] = [Failure(FailureKind.INTERNAL, "no answer")] * len(
            utterances
        )
        for _ in utterances:
            # Every request has a timeout of its own, so every one is answered.
            place, answer, error = answers.get()
            results[place] = self._result(answer, error, utterances[place].options)
        return Batch(results, {"triton": time.monotonic() - began_s})

    def open(self, stream: int, options: Options) -> None:
        """Refuse: streams need an engine that keeps their state."""
        raise NoSlotError("the Triton engine recognises whole utterances; it has no streams")

    def push(self, pushes: Sequence[Push]) -> list[Update | Failure | None]:
        """Refuse."""
        return [Failure(FailureKind.BAD_INPUT, "no streams") for _ in pushes]

    def abort(self, stream: int) -> None:
        """Nothing is open."""

    def close(self) -> None:
        """Hang up."""
        self._client.close()

    def _is_ready(self) -> bool:
        try:
            return bool(self._client.is_model_ready(self._settings.model))
        except self._errors():
            return False

    def _errors(self) -> type[Exception]:
        from tritonclient.utils import InferenceServerException

        found: type[Exception] = InferenceServerException
        return found

    def _ask(self, place: int, utterance: Utterance, answers: "queue.SimpleQueue[Any]") -> None:
        audio = self._grpc.InferInput("AUDIO", [1, len(utterance.pcm)], "INT16")
        audio.set_data_from_numpy(np.ascontiguousarray(utterance.pcm[None]))
        options = utterance.options
        parameters = {"language": options.language or "", "hints": ",".join(options.hints)}
        self._client.async_infer(
            self._settings.model,
            [audio],
            callback=lambda result, error: answers.put((place, result, error)),
            parameters={key: value for key, value in parameters.items() if value},
            client_timeout=self._settings.timeout_s,
        )

    def _result(
        self, answer: Any, error: Exception | None, options: Options
    ) -> Transcript | Failure:
        if error is not None:
            text = str(error)
            for mark, kind in _REFUSALS.items():
                if mark in text:
                    return Failure(kind, text.partition(mark)[2].strip())
            return Failure(FailureKind.INTERNAL, text)
        try:
            text = answer.as_numpy("TRANSCRIPT").reshape(-1)[0].decode()
            confidence = float(answer.as_numpy("CONFIDENCE").reshape(-1)[0])
            words = words_from(answer.as_numpy("WORDS").reshape(-1)[0].decode())
        except (AttributeError, IndexError, ValueError) as unreadable:
            message = f"model {self._settings.model} answers with other tensors: {unreadable}"
            return Failure(FailureKind.INTERNAL, message)
        return Transcript(
            text, words if options.words else (), None if np.isnan(confidence) else confidence
        )
