"""The embedded language model: started, watched, restarted and stopped with the agent."""

import asyncio
import json
import os
import sys
import time
from asyncio.subprocess import PIPE, Process
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

import httpx
from loguru import logger

from agent.errors import DegradedError, MissingModelError
from agent.llm.cores import physical_cores
from agent.llm.last_words import LastWords
from agent.llm.restarts import RestartDelay
from agent.llm.slots import SlotPool

_SOURCE_ROOT = Path(__file__).resolve().parents[2]
_GOODBYE_S = 1.0

_SPIN_COUNT = "1000"
"""Rounds an OpenMP thread spins at a barrier before it sleeps. The stock count is fastest on an
idle machine (54 tokens a second on two cores, against 47), but here the recogniser and the voice
want the same cores: a thread that spins then keeps the very thread it waits for from running.
Beside two busy processes decoding fell to between 0.4 and 14 tokens a second; with 1000 rounds it
kept 22."""


@dataclass(frozen=True, slots=True)
class EmbeddedSettings:
    """What the server needs to know.

    Attributes:
        gguf: Weights, in Q4_0 for speed: llama.cpp repacks that layout for the CPU's vectors,
            which halves the time to the first token against Q4_K_M.
        name: What the model is called in requests and records.
        threads: See `physical_cores`.
        slots: Sessions that keep their conversation cached; more are served, but slower.
        context_tokens: Longest conversation of each slot. Costs 12 KiB of memory a token.
        prompt_cache_mib: For conversations that lost their slot to another.
        start_within_s: A server not ready by then counts as dead. Cold disks are slow.
    """

    gguf: Path
    name: str
    threads: int = field(default_factory=physical_cores)
    slots: int = 4
    context_tokens: int = 4096
    prompt_cache_mib: int = 128
    start_within_s: float = 60.0


@dataclass(frozen=True, slots=True)
class ServerUp:
    """The server answers again; its caches are empty."""

    base_url: str


@dataclass(frozen=True, slots=True)
class ServerDown:
    """The server died; requests in flight are lost.

    Attributes:
        exit_code: Negative for the signal that ended it.
        retry_in_s: Wait before it is started again, loading not counted.
        detail: The last thing it said.
    """

    exit_code: int
    retry_in_s: float
    detail: str


ServerEvent = ServerUp | ServerDown


class EmbeddedServer:
    """One llama.cpp server in a child process, shared by all sessions.

    Attributes:
        slots: Where a session leases the slot it names in its requests.
    """

    def __init__(self, settings: EmbeddedSettings) -> None:
        """Nothing runs before `start`.

        Args:
            settings: See `EmbeddedSettings`.
        """
        self.slots = SlotPool(settings.slots)
        self._settings = settings
        self._starting = asyncio.Lock()
        self._listeners: list[Callable[[ServerEvent], None]] = []
        self._ready = asyncio.Event()
        self._ready_at_s = 0.0
        self._port = 0
        self._process: Process | None = None
        self._last_words = LastWords()
        self._listening: asyncio.Task[None] | None = None
        self._keeper: asyncio.Task[None] | None = None

    @property
    def is_ready(self) -> bool:
        """Whether requests are being answered."""
        return self._ready.is_set()

    @property
    def pid(self) -> int | None:
        """The child's process id while there is one."""
        return self._process.pid if self._process else None

    @property
    def base_url(self) -> str:
        """For an OpenAI client. A restart keeps it unless the port was taken meanwhile."""
        return f"http://127.0.0.1:{self._port}/v1"

    def subscribe(self, listener: Callable[[ServerEvent], None]) -> Callable[[], None]:
        """Call `listener` on the event loop at every death and every return of the server.

        Returns:
            Ends the subscription.
        """
        self._listeners.append(listener)
        return lambda: self._listeners.remove(listener)

    async def start(self) -> str:
        """Start the child and wait until it answers; at once when it already does.

        Returns:
            The base URL.

        Raises:
            MissingModelError: There is no file at `gguf`.
            DegradedError: The child would not start; the message holds what it said.
        """
        async with self._starting:
            if self._keeper is None:
                if not self._settings.gguf.is_file():
                    raise MissingModelError(
                        f"no language model at {self._settings.gguf}; run: duplex models fetch"
                    )
                await self._launch()
                self._keeper = asyncio.create_task(self._keep_alive(), name="embedded-llm")
        return self.base_url

    async def wait_ready(self) -> None:
        """Return as soon as requests are being answered."""
        await self._ready.wait()

    def kill(self) -> None:
        """End a server that no longer answers; it is then restarted like any other dead one."""
        if self._process is not None:
            with suppress(ProcessLookupError):
                self._process.kill()

    async def stop(self) -> None:
        """End the child and wait for it. `start` may follow."""
        async with self._starting:
            keeper, self._keeper = self._keeper, None
            if keeper is not None:
                keeper.cancel()
                with suppress(asyncio.CancelledError):
                    await keeper
            self._ready.clear()
            await self._end_process()

    async def _keep_alive(self) -> None:
        delay = RestartDelay()
        while True:
            lived_s = await self._life()
            self._ready.clear()
            exit_code = await self._end_process()
            wait_s = delay.after(lived_s)
            detail = self._last_words.latest
            logger.warning(
                "Language model died: exit {}, restart in {} s. {}", exit_code, wait_s, detail
            )
            self._tell(ServerDown(exit_code, wait_s, detail))
            await asyncio.sleep(wait_s)
            await self._relaunch()

    async def _life(self) -> float:
        """Wait until the child has died; return how long it had answered, in seconds."""
        if self._process is None:
            return 0.0
        await self._process.wait()
        return time.monotonic() - self._ready_at_s

    async def _relaunch(self) -> None:
        try:
            await self._launch()
        except DegradedError as error:
            logger.error("Language model did not come back: {}", error)
            # Someone else may have taken the port in the meantime.
            self._port = 0
        else:
            logger.info("Language model is back: {}", self.base_url)
            self._tell(ServerUp(self.base_url))

    def _tell(self, event: ServerEvent) -> None:
        for listener in tuple(self._listeners):
            listener(event)

    async def _launch(self) -> None:
        self._last_words = LastWords()
        env = {"GOMP_SPINCOUNT": _SPIN_COUNT} | os.environ
        try:
            async with asyncio.timeout(self._settings.start_within_s):
                self._process = await asyncio.create_subprocess_exec(
                    *self._command(),
                    stdin=PIPE,
                    stdout=PIPE,
                    stderr=PIPE,
                    cwd=_SOURCE_ROOT,
                    env=env,
                )
                self._port = await self._await_report(self._process)
                await self._check_health()
            self._ready_at_s = time.monotonic()
            self._ready.set()
        except TimeoutError as error:
            raise DegradedError(
                f"the language model was not ready within {self._settings.start_within_s:g} s"
            ) from error
        except OSError as error:  # no memory or no file handle for another process
            raise DegradedError(f"the language model did not start: {error}") from error
        finally:
            if not self._ready.is_set():
                await self._end_process()

    def _command(self) -> list[str]:
        settings = self._settings
        return [
            *(sys.executable, "-m", "agent.llm.child"),
            *("--gguf", str(settings.gguf.resolve())),
            *("--name", settings.name),
            *("--port", str(self._port)),
            *("--threads", str(settings.threads)),
            *("--slots", str(settings.slots)),
            *("--context-tokens", str(settings.context_tokens)),
            *("--prompt-cache-mib", str(settings.prompt_cache_mib)),
        ]

    async def _await_report(self, process: Process) -> int:
        assert process.stdout is not None and process.stderr is not None
        # Read to the end of its life: a full pipe would stop the child.
        self._listening = asyncio.create_task(
            self._listen(process.stderr, self._last_words), name="embedded-llm-stderr"
        )
        line = await process.stdout.readline()
        report = json.loads(line) if line else {}  # it may die before it can report
        if "url" not in report:
            # A thread of llama.cpp writes its log: the cause may come behind the report.
            await self._listening
            cause = self._last_words.cause or report.get("error") or "no reason given"
            raise DegradedError(f"the language model did not start: {cause}")
        logger.debug("Language model loaded in {} s", report["load_s"])
        return int(report["url"].rpartition(":")[2])

    async def _listen(self, stderr: asyncio.StreamReader, words: LastWords) -> None:
        async for line in stderr:
            text = line.decode(errors="replace").strip()
            words.push(text)
            logger.debug("llama.cpp: {}", text)

    async def _check_health(self) -> None:
        # A proxy from the environment has no business between two processes of one machine, and
        # reading the certificates that nobody will show holds the event loop for 0.3 s.
        async with httpx.AsyncClient(trust_env=False, verify=False) as client:
            try:
                answer = await client.get(f"http://127.0.0.1:{self._port}/health")
                answer.raise_for_status()
            except httpx.HTTPError as error:
                raise DegradedError(f"the language model does not answer: {error}") from error

    async def _end_process(self) -> int:
        """End the child, if there is one, and return its exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        assert process.stdin is not None
        process.stdin.close()
        try:
            async with asyncio.timeout(_GOODBYE_S):
                exit_code = await process.wait()
        except TimeoutError:
            process.kill()
            exit_code = await process.wait()
        if self._listening is not None:
            # The pipe ends with the process; what it said last may still lie in it.
            await self._listening
        return exit_code
