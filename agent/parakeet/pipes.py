"""A worker's ends of the pipes to the front: one thread reads frames, another writes them.

The thread that owns the engine does neither, so that no time passes between two batches in which
the device has nothing to do while results are spelled out and audio is read.
"""

import os
import queue
import threading
import time
import traceback
from typing import BinaryIO, NamedTuple

from agent.parakeet import wire

ABANDONED, GARBLED = 4, 5
"""Exit codes: the front went while a call hung; an answer could not be written."""

_LAST_WORDS_S = 5.0
"""Time for the owner to finish once the front is gone; a hung device never would."""


class Message(NamedTuple):
    """One frame from the front."""

    header: wire.Header
    payload: bytes


Inbox = queue.SimpleQueue[Message | None]


def take() -> tuple[BinaryIO, BinaryIO]:
    """Keep standard input and output for frames; what libraries print goes to standard error."""
    source, sink = os.dup(0), os.dup(1)
    os.dup2(2, 1)
    nothing = os.open(os.devnull, os.O_RDONLY)
    os.dup2(nothing, 0)
    os.close(nothing)
    return os.fdopen(source, "rb"), os.fdopen(sink, "wb")


def reading(source: BinaryIO) -> Inbox:
    """Read frames from now on; None follows the last one.

    The process ends `_LAST_WORDS_S` after that, whatever the owner does.
    """
    inbox: Inbox = queue.SimpleQueue()
    threading.Thread(target=_read, args=(source, inbox), daemon=True).start()
    return inbox


def _read(source: BinaryIO, inbox: Inbox) -> None:
    while True:
        prefix = source.read(wire.PREFIX.size)
        if len(prefix) < wire.PREFIX.size:
            break
        header, payload = wire.lengths(prefix)
        text, data = source.read(header), source.read(payload)
        if len(data) < payload:
            break
        inbox.put(Message(wire.decode(text), data))
    inbox.put(None)
    time.sleep(_LAST_WORDS_S)
    os._exit(ABANDONED)


class Outbox:
    """Writes answers in the order they are given, on a thread of its own.

    It holds no more than the front has asked for, two batches and a step of each stream, so it
    needs no bound.
    """

    def __init__(self, sink: BinaryIO) -> None:
        self._sink = sink
        self._headers: queue.SimpleQueue[wire.Header | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._write, daemon=True)
        self._thread.start()

    def send(self, header: wire.Header) -> None:
        """Answer; returns at once."""
        self._headers.put(header)

    def close(self) -> None:
        """Write what is left."""
        self._headers.put(None)
        self._thread.join()

    def _write(self) -> None:
        try:
            while (header := self._headers.get()) is not None:
                self._sink.write(wire.encode(header))
                self._sink.flush()
        except OSError:
            # The front is gone, which the reading thread notices.
            return
        except (TypeError, ValueError):
            # An answer that is no JSON: the front would wait for it until the worker seems to hang.
            traceback.print_exc()
            os._exit(GARBLED)
