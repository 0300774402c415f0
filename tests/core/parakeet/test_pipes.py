"""A worker's end of the pipe that writes: without the owner's time, in order, and to its end."""

import io
import os
import subprocess
import sys
import threading

from agent.parakeet import wire
from agent.parakeet.engine import Options
from agent.parakeet.fake import FakeEngine, FakeSettings
from agent.parakeet.pipes import GARBLED, Outbox
from tests.parakeet.server import tone


class Full(io.BytesIO):
    """A pipe that nobody reads yet."""

    def __init__(self):
        super().__init__()
        self.is_read = threading.Event()

    def write(self, data):
        self.is_read.wait()
        return super().write(data)


def test_the_owner_goes_on_though_the_pipe_is_full_and_nothing_is_lost():
    sink = Full()
    outbox = Outbox(sink)
    told = [{"is": "pushed", "stream": number} for number in range(100)]
    for header in told:
        outbox.send(header)
    assert not sink.getvalue()
    sink.is_read.set()
    outbox.close()
    assert sink.getvalue() == b"".join(wire.encode(header) for header in told)


def test_a_front_that_is_gone_is_no_error_here():
    reader, writer = os.pipe()
    os.close(reader)
    outbox = Outbox(os.fdopen(writer, "wb", buffering=0))
    outbox.send({"is": "ready"})
    outbox.close()


class Garbling(FakeEngine):
    """Answers what no message can hold."""

    def transcribe(self, utterances):
        batch = super().transcribe(utterances)
        return type(batch)(batch.results, {"decode": object()})


def garbling(config):
    return Garbling(FakeSettings())


def test_an_answer_that_cannot_be_written_ends_the_worker():
    pcm = tone(0.5).tobytes()
    frames = [
        ({"do": "load", "config": {}}, b""),
        ({"do": "hold", "item": 1}, pcm),
        (
            {
                "do": "transcribe",
                "id": 1,
                "items": [{"item": 1, "options": wire.options_to(Options())}],
            },
            b"",
        ),
    ]
    worker = subprocess.Popen(
        [sys.executable, "-m", "agent.parakeet.worker", f"{__name__}:garbling"],
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    assert worker.stdin is not None
    # Open to the end: a front that waits.
    with worker.stdin as pipe:
        for header, payload in frames:
            pipe.write(wire.encode(header, len(payload)) + payload)
        pipe.flush()
        assert worker.wait(timeout=60) == GARBLED
