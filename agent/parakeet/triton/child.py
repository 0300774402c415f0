"""A worker process of our own inside Triton's model.

The Python that Triton's backend embeds is often not the one NeMo can live in (older servers know
NumPy 1 only), and a crash of the device should not take Triton's process along. So the model runs
the service's worker (`agent.parakeet.worker`) as a child, in whichever environment has NeMo.
"""

import os
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, BinaryIO

import agent
from agent.errors import SettingsError
from agent.parakeet import wire
from agent.parakeet.engine import DeviceLostError, Facts, Failure, Transcript, Utterance


class Worker:
    """The child, spoken to in turns: one question, one answer."""

    def __init__(self, python: str, factory: str, config: Mapping[str, Any]) -> None:
        """Start the child and wait until its model is loaded.

        Args:
            python: Interpreter of the environment with the engine.
            factory: ``package.module:function`` that makes the engine.
            config: What it is given.

        Raises:
            SettingsError: The engine refused its settings, or did not start.
        """
        paths = [str(Path(agent.__file__).resolve().parents[1])]
        # Triton's own paths are for another Python than the child's.
        environment = {key: value for key, value in os.environ.items() if key != "PYTHONHOME"}
        environment |= {"PYTHONPATH": os.pathsep.join(paths)}
        self._process = subprocess.Popen(
            [python, "-m", "agent.parakeet.worker", factory],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=environment,
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._sink: BinaryIO = self._process.stdin  # type: ignore[assignment]
        self._source: BinaryIO = self._process.stdout  # type: ignore[assignment]
        self._send({"do": "load", "config": dict(config)})
        try:
            answer = self._receive()
        except DeviceLostError as error:
            raise SettingsError(
                f"{python} ran no engine: is duplex-voice[parakeet] in its environment?"
            ) from error
        if answer["is"] != "ready":
            raise SettingsError(answer["message"])
        self.facts: Facts = wire.facts_from(answer["facts"])

    def transcribe(self, utterances: Sequence[Utterance]) -> list[Transcript | Failure]:
        """Recognise one pass.

        Raises:
            DeviceLostError: The child is gone; Triton must load the model again.
        """
        items = []
        for item, utterance in enumerate(utterances):
            self._send({"do": "hold", "item": item}, utterance.pcm.tobytes())
            items.append({"item": item, "options": wire.options_to(utterance.options)})
        self._send({"do": "transcribe", "id": 0, "items": items})
        answer = self._receive()
        if answer["is"] != "batch":
            raise DeviceLostError(answer.get("message", "the worker is gone"))
        return [wire.result_from(result) for result in answer["results"]]

    def close(self) -> None:
        """End the child; it frees the device first."""
        self._sink.close()
        try:
            self._process.wait(10)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def _send(self, header: wire.Header, payload: bytes = b"") -> None:
        try:
            self._sink.write(wire.encode(header, len(payload)) + payload)
            self._sink.flush()
        except BrokenPipeError as error:
            raise DeviceLostError("the worker is gone") from error

    def _receive(self) -> wire.Header:
        prefix = self._source.read(wire.PREFIX.size)
        if len(prefix) < wire.PREFIX.size:
            raise DeviceLostError(f"the worker ended with code {self._process.poll()}")
        header, payload = wire.lengths(prefix)
        text = self._source.read(header)
        self._source.read(payload)
        return wire.decode(text)
