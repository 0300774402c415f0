"""One worker process, watched and replaced: the front's end of the pipe."""

import asyncio
import contextlib
import os
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from loguru import logger

import agent
from agent.audio.chunk import Int16Array
from agent.errors import SettingsError
from agent.parakeet import wire
from agent.parakeet.engine import Facts, Options

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_PIPE_BYTES = 1 << 20

_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.05, 5.0
"""Between replacements of a worker that dies at once."""


@dataclass(frozen=True, slots=True)
class WorkerSettings:
    """How a worker is run.

    Attributes:
        factory: ``package.module:function`` that makes the engine.
        config: What it is given.
        hang_s: A call that takes longer has hung: more than the slowest batch, and well below the
            deadlines, so that what it held is tried again in time.
        load_s: Longest time to load a model.
        python: Interpreter of the worker: NeMo may live in an environment of its own.
    """

    factory: str
    config: Mapping[str, Any]
    hang_s: float = 20.0
    load_s: float = 600.0
    python: str = sys.executable


class Listener(Protocol):
    """Who hears of a device."""

    def ready(self, device: "Device") -> None:
        """A worker has loaded its model."""
        ...

    def answered(self, device: "Device", header: wire.Header) -> None:
        """A ``batch`` or ``pushed`` message came."""
        ...

    def ended(self, device: "Device", reason: str) -> None:
        """The worker is gone, with all that was sent to it; another one starts."""
        ...


class Item(Protocol):
    """One utterance of a batch."""

    number: int
    pcm: Int16Array
    options: Options


class Device:
    """A device of this machine, as long as the service lives: one worker process after another.

    `facts` is None while no worker is ready; `announced` is what the last one said. Messages go out
    in order and unbounded; the front sends two batches at a time, and streams are bounded by their
    utterances' length.
    """

    def __init__(
        self, number: int, settings: WorkerSettings, listeners: Sequence[Listener]
    ) -> None:
        self.number = number
        self.facts: Facts | None = None
        self.announced: Facts | None = None
        self.pid: int | None = None
        self.refusal: str | None = None
        self.load_s = 0.0
        """How long the last worker took to be ready."""
        self._settings = settings
        self._listeners = listeners
        self._process: asyncio.subprocess.Process | None = None
        self._asked: dict[object, float] = {}
        self._held: set[int] = set()
        self._reason = ""
        self._started_s = 0.0

    async def run(self) -> None:
        """Keep a worker alive until cancelled, or until one says that the settings are wrong.

        Raises:
            SettingsError: No worker can ever start.
        """
        pause_s = _FIRST_PAUSE_S
        while True:
            reason = await self._one_worker()
            if self.refusal is not None:
                raise SettingsError(self.refusal)
            was_ready = self._forget()
            logger.warning("worker {} is replaced: {}", self.number, reason)
            for listener in self._listeners:
                listener.ended(self, reason)
            pause_s = _FIRST_PAUSE_S if was_ready else min(_LONGEST_PAUSE_S, 2 * pause_s)
            await asyncio.sleep(pause_s)

    def prepare(self, item: int, pcm: Int16Array) -> None:
        """Send an utterance ahead, while the worker is busy with others."""
        self._held.add(item)
        self._send({"do": "hold", "item": item}, pcm.tobytes())

    def forget(self, item: int) -> None:
        """Drop an utterance that was sent ahead; one that was not is no error."""
        if item in self._held:
            self._held.discard(item)
            self._send({"do": "forget", "item": item})

    def transcribe(self, number: int, items: Sequence[Item]) -> None:
        """Ask for a batch; `number` comes back with the answer."""
        for item in items:
            if item.number not in self._held:
                self.prepare(item.number, item.pcm)
        told = [{"item": item.number, "options": wire.options_to(item.options)} for item in items]
        self._ask(number)
        self._send({"do": "transcribe", "id": number, "items": told})
        self._held.difference_update(item.number for item in items)

    def open(self, stream: int, options: Options) -> None:
        """Open a stream."""
        self._send({"do": "open", "stream": stream, "options": wire.options_to(options)})

    def push(self, stream: int, pcm: bytes, *, is_last: bool) -> None:
        """Send audio to a stream: int16, 16 kHz, as bytes."""
        self._ask(("stream", stream))
        self._send({"do": "push", "stream": stream, "is_last": is_last}, pcm)

    def abort(self, stream: int) -> None:
        """Close a stream without an answer."""
        self._asked.pop(("stream", stream), None)
        self._send({"do": "abort", "stream": stream})

    def kill(self, reason: str) -> None:
        """End the worker now; another one follows."""
        self._reason = self._reason or reason
        if self._process is not None and self._process.returncode is None:
            self._process.kill()

    async def _one_worker(self) -> str:
        """Start a worker and serve it until it ends; returns why it did."""
        settings, self._reason = self._settings, ""
        try:
            self._process = process = await asyncio.create_subprocess_exec(
                settings.python,
                *("-m", "agent.parakeet.worker", settings.factory),
                stdin=asyncio.subprocess.PIPE,
                stdout=asyncio.subprocess.PIPE,
                env=_environment(),
            )
        except (FileNotFoundError, PermissionError) as error:
            self.refusal = f"--worker-python {settings.python} cannot be run: {error.strerror}"
            return "load"
        _widen(process.stdin)
        watchdog = asyncio.create_task(self._watch())
        self._started_s = asyncio.get_running_loop().time()
        try:
            self._send({"do": "load", "config": dict(settings.config)})
            await self._listen(process)
        except wire.WireError as error:
            self._reason = "garbage"
            logger.error("worker {} sent garbage: {}", self.number, error)
        finally:
            watchdog.cancel()
            if process.returncode is None:
                process.kill()
            await process.wait()
        return self._reason or "crash"

    async def _listen(self, process: asyncio.subprocess.Process) -> None:
        assert process.stdout is not None
        try:
            async with asyncio.timeout(self._settings.load_s):
                header = await _receive(process.stdout)
        except TimeoutError:
            self._reason = "load"
            return
        if header is None:
            self._reason = "load"
            return
        if header["is"] == "refused":
            self.refusal = header["message"]
            return
        self.facts = self.announced = wire.facts_from(header["facts"])
        self.pid = process.pid
        self.load_s = asyncio.get_running_loop().time() - self._started_s
        logger.info("worker {}: {} on {}", self.number, self.facts.model, self.facts.device)
        for listener in self._listeners:
            listener.ready(self)
        while (header := await _receive(process.stdout)) is not None:
            if header["is"] == "lost":
                self._reason = "lost"
                logger.error("device {} is lost: {}", self.number, header["message"])
                continue
            self._heard(header)
            for listener in self._listeners:
                listener.answered(self, header)

    async def _watch(self) -> None:
        clock = asyncio.get_running_loop().time
        while True:
            await asyncio.sleep(self._settings.hang_s / 4)
            oldest_s = min(self._asked.values(), default=clock())
            if clock() - oldest_s > self._settings.hang_s:
                self.kill("hang")

    def _ask(self, key: object) -> None:
        self._asked.setdefault(key, asyncio.get_running_loop().time())

    def _heard(self, header: wire.Header) -> None:
        """Take back the question that was answered."""
        if header["is"] != "batch":
            self._asked.pop(("stream", header["stream"]), None)
            return
        self._asked.pop(header["id"], None)
        # A batch that was sent ahead begins only now.
        now_s = asyncio.get_running_loop().time()
        self._asked.update({key: now_s for key in self._asked if isinstance(key, int)})

    def _forget(self) -> bool:
        was_ready, self.facts, self.pid = self.facts is not None, None, None
        self._asked.clear()
        self._held.clear()
        return was_ready

    def _send(self, header: wire.Header, payload: bytes = b"") -> None:
        process = self._process
        # A worker that has just died is noticed by the listening side, which starts another.
        if process is not None and process.stdin is not None and not process.stdin.is_closing():
            process.stdin.write(wire.encode(header, len(payload)))
            process.stdin.write(payload)


def _widen(stdin: asyncio.StreamWriter | None) -> None:
    """A batch of audio is megabytes: Linux's 64 KiB of pipe would take fifty turns of the loop."""
    size = getattr(fcntl, "F_SETPIPE_SZ", None)
    if stdin is not None and size is not None:
        # An administrator may allow less than the usual 1 MiB.
        with contextlib.suppress(OSError):
            fcntl.fcntl(stdin.get_extra_info("pipe").fileno(), size, _PIPE_BYTES)


def _environment() -> dict[str, str]:
    """The worker finds this very package, whichever interpreter runs it."""
    inherited = os.environ.get("PYTHONPATH")
    paths = [str(Path(agent.__file__).parent.parent), *([inherited] if inherited else [])]
    return {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}


async def _receive(reader: asyncio.StreamReader) -> wire.Header | None:
    try:
        header, payload = wire.lengths(await reader.readexactly(wire.PREFIX.size))
        text = await reader.readexactly(header + payload)
    except asyncio.IncompleteReadError:
        return None
    return wire.decode(text[:header])
