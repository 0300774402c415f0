"""The worker process: one engine, its owner thread, and a pipe to the front.

``python -m agent.parakeet.worker package.module:factory`` reads frames from its standard input and
answers on its standard output (`wire`). The main thread owns the engine and makes every call to it;
a second thread reads and a third one writes (`pipes`). A crash of the device takes this process and
nothing else.
"""

import contextlib
import gc
import importlib
import os
import queue
import signal
import sys
import time
import traceback
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

import numpy as np

from agent.audio.chunk import Int16Array
from agent.errors import SettingsError
from agent.parakeet import pipes, wire
from agent.parakeet.engine import (
    Batch,
    DeviceLostError,
    Engine,
    Factory,
    Failure,
    FailureKind,
    NoSlotError,
    OutOfMemoryError,
    Push,
    Transcript,
    Utterance,
)
from agent.parakeet.pipes import Inbox, Message

REFUSED, LOST = 2, 3
"""Exit codes, besides those of `pipes`: a setting is wrong; the device broke."""

_COLLECT_S = 10.0
"""Between garbage collections under load; an idle moment takes one at once."""

Send = Callable[[wire.Header], None]


def main() -> int:
    """Run until the front closes the pipe; returns the exit code."""
    # A terminal's Ctrl+C and a service manager's SIGTERM reach the whole group, but the front
    # drains first: only the end of its pipe ends a worker.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    source, sink = pipes.take()
    inbox, outbox = pipes.reading(source), pipes.Outbox(sink)
    first = inbox.get()
    if first is None:
        return 0
    with contextlib.closing(outbox):
        return _serve(first.header["config"], inbox, outbox.send)


def _serve(config: Mapping[str, Any], inbox: Inbox, send: Send) -> int:
    try:
        engine = _made(sys.argv[1], config)
        facts = engine.load()
    except SettingsError as error:
        send({"is": "refused", "message": str(error)})
        return REFUSED
    # Collecting at any moment stalls a batch, and NeMo's objects are never garbage anyway.
    gc.collect()
    gc.freeze()
    gc.disable()
    send({"is": "ready", "facts": asdict(facts), "pid": os.getpid()})
    try:
        Owner(engine, send).run(inbox)
    except DeviceLostError as error:
        send({"is": "lost", "message": str(error)})
        return LOST
    engine.close()
    return 0


def _made(name: str, config: Mapping[str, Any]) -> Engine:
    module, _, attribute = name.partition(":")
    try:
        factory: Factory | None = getattr(importlib.import_module(module), attribute, None)
        if factory is None:
            raise SettingsError(f"{module} has no engine {attribute!r}")
        # Within the same handler: our engines import what they need when they are made.
        return factory(config)
    except ImportError as error:
        raise SettingsError(
            f"the engine {name} cannot be imported: {error}; "
            'pip install "duplex-voice[parakeet]" brings NeMo, and --worker-python names the '
            "interpreter of an environment that has it"
        ) from error


@dataclass
class _Pending:
    """Audio that came for one stream since the last step."""

    pieces: list[Int16Array] = field(default_factory=list)
    is_last: bool = False
    count: int = 0


class Owner:
    """Turns messages into calls of the engine, on the thread that runs it."""

    def __init__(self, engine: Engine, send: Send) -> None:
        self._engine = engine
        self._send = send
        self._held: dict[int, Int16Array] = {}
        self._batches: deque[wire.Header] = deque()
        self._collected_s = time.monotonic()

    def run(self, inbox: Inbox) -> None:
        """Serve until None arrives."""
        while (messages := self._wait(inbox)) is not None:
            self.turn(messages)

    def turn(self, messages: Sequence[Message]) -> None:
        """Do what has come: one step of all streams, since people are waiting; then one batch.

        Raises:
            DeviceLostError: The process must end.
        """
        pending: dict[int, _Pending] = {}
        for message in messages:
            header = message.header
            match header["do"]:
                case "open":
                    self._open(header)
                case "push":
                    waiting = pending.setdefault(header["stream"], _Pending())
                    waiting.pieces.append(np.frombuffer(message.payload, np.int16))
                    waiting.is_last = header["is_last"]
                    waiting.count += 1
                case "abort":
                    pending.pop(header["stream"], None)
                    self._engine.abort(header["stream"])
                case "hold":
                    self._held[header["item"]] = np.frombuffer(message.payload, np.int16)
                case "forget":
                    self._held.pop(header["item"], None)
                case "transcribe":
                    self._batches.append(header)
        if pending:
            self._push(pending)
        if self._batches:
            self._transcribe(self._batches.popleft())

    def _wait(self, inbox: Inbox) -> list[Message] | None:
        """All that has come, at least one message unless a batch waits; None at the end."""
        if self._batches and inbox.empty():
            return []
        if inbox.empty() or time.monotonic() - self._collected_s > _COLLECT_S:
            gc.collect()
            self._collected_s = time.monotonic()
        messages = []
        message = inbox.get()
        while message is not None:
            messages.append(message)
            try:
                message = inbox.get_nowait()
            except queue.Empty:
                return messages
        return None

    def _open(self, header: wire.Header) -> None:
        try:
            self._engine.open(header["stream"], wire.options_from(header["options"]))
        except NoSlotError as error:
            failure = Failure(FailureKind.INTERNAL, str(error))
            self._answer(header["stream"], wire.result_to(failure), 0)

    def _push(self, pending: dict[int, _Pending]) -> None:
        pushes = [
            Push(stream, np.concatenate(waiting.pieces), waiting.is_last)
            for stream, waiting in pending.items()
        ]
        try:
            updates = self._engine.push(pushes)
        except DeviceLostError:
            raise
        except Exception:  # noqa: BLE001 - the edge of the engine: a stream fails, the worker lives
            traceback.print_exc()
            for push in pushes:
                self._engine.abort(push.stream)
            updates = [Failure(FailureKind.INTERNAL, "the engine failed") for _ in pushes]
        for push, update in zip(pushes, updates, strict=True):
            told: wire.Header | None = None
            if isinstance(update, Failure):
                told = wire.result_to(update)
            elif update is not None:
                told = wire.update_to(update)
            self._answer(push.stream, told, pending[push.stream].count)

    def _answer(self, stream: int, update: wire.Header | None, count: int) -> None:
        self._send({"is": "pushed", "stream": stream, "count": count, "update": update})

    def _transcribe(self, header: wire.Header) -> None:
        utterances = [
            Utterance(self._held.pop(item["item"]), wire.options_from(item["options"]))
            for item in header["items"]
        ]
        started_s = time.monotonic()
        done = recognise(self._engine, utterances)
        self._send(
            {
                "is": "batch",
                "id": header["id"],
                "results": [wire.result_to(result) for result in done.results],
                "stages_s": dict(done.stages_s),
                "seconds": time.monotonic() - started_s,
                "out_of_memory": done.out_of_memory,
            }
        )


@dataclass(frozen=True, slots=True)
class Recognised:
    """What became of a batch, perhaps in several calls.

    Attributes:
        results: One for each utterance, in order.
        stages_s: Seconds by stage, over all calls.
        out_of_memory: How often the device had no room.
    """

    results: list[Transcript | Failure]
    stages_s: dict[str, float]
    out_of_memory: int = 0


def recognise(engine: Engine, utterances: Sequence[Utterance]) -> Recognised:
    """Recognise a batch; halve it when the device has no room, take it apart when it fails.

    One utterance that no device can take, or that breaks the engine, costs its neighbours a second
    call and nothing else.

    Raises:
        DeviceLostError: The process must end.
    """
    try:
        batch = engine.transcribe(utterances)
    except DeviceLostError:
        raise
    except OutOfMemoryError as error:
        if len(utterances) == 1:
            failure = Failure(FailureKind.TOO_LONG, str(error))
            return Recognised([failure], {}, 1)
        half = len(utterances) // 2
        parts = [utterances[:half], utterances[half:]]
        return _together([recognise(engine, part) for part in parts], out_of_memory=1)
    except Exception:  # noqa: BLE001 - the edge of the engine: an item fails, the worker lives
        if len(utterances) == 1:
            traceback.print_exc()
            return Recognised([Failure(FailureKind.INTERNAL, "the engine failed")], {})
        return _together([recognise(engine, [alone]) for alone in utterances])
    return _checked(batch, len(utterances))


def _checked(batch: Batch, count: int) -> Recognised:
    results = list(batch.results)
    if len(results) != count:
        raise DeviceLostError(f"the engine answered {len(results)} of {count} utterances")
    return Recognised(results, dict(batch.stages_s))


def _together(parts: Sequence[Recognised], out_of_memory: int = 0) -> Recognised:
    stages_s: dict[str, float] = {}
    for part in parts:
        for stage, seconds in part.stages_s.items():
            stages_s[stage] = stages_s.get(stage, 0.0) + seconds
    return Recognised(
        [result for part in parts for result in part.results],
        stages_s,
        out_of_memory + sum(part.out_of_memory for part in parts),
    )


if __name__ == "__main__":
    sys.exit(main())
