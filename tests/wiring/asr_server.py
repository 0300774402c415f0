"""The recognition service as a subprocess, and a network path to it that can be broken."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from contextlib import suppress
from pathlib import Path

import pytest

from tests.ports import free_port

ROOT = Path(__file__).resolve().parents[2]
START_LIMIT_S = 60.0


class AsrServer:
    """`duplex asr-server` with the engine that spells the checksum of what it heard."""

    def __init__(self, *options: str, prefix: tuple[str, ...] = (), host: str = "127.0.0.1"):
        self.host, self.port = host, free_port()
        self._command = [
            *prefix,
            *(sys.executable, "-m", "agent", "asr-server", "--engine", "fake"),
            # A network namespace of a test's own is not the loopback, and keeps strangers out.
            *("--host", host, "--port", str(self.port), "--open", *options),
        ]
        self.process: subprocess.Popen | None = None

    @property
    def url(self) -> str:
        return f"ws://{self.host}:{self.port}"

    def start(self) -> AsrServer:
        """Start, or start again on the same port; does not wait until it is ready."""
        # A session of its own, so that a kill takes the worker with the front.
        self.process = subprocess.Popen(
            self._command,
            cwd=ROOT,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE if os.environ.get("DUPLEX_SHOW") else subprocess.DEVNULL,
            start_new_session=True,
        )
        return self

    async def wait_ready(self) -> None:
        async with asyncio.timeout(START_LIMIT_S):
            while not await asyncio.to_thread(self._is_ready):
                if self.process is None or self.process.poll() is not None:
                    pytest.fail("the recognition server did not start", pytrace=False)
                await asyncio.sleep(0.1)

    def kill(self) -> None:
        """SIGKILL, worker and all."""
        if self.process and self.process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()

    def kill_worker(self) -> int:
        """SIGKILL the process with the engine; the front lives. Returns how many there were."""
        assert self.process
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        workers = [int(pid) for pid in children.read_text().split()]
        for pid in workers:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        return len(workers)

    def _is_ready(self) -> bool:
        url = f"http://{self.host}:{self.port}/v2/health/ready"
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                return response.status == 200
        except (urllib.error.URLError, OSError):
            return False


class BreakablePath:
    """A TCP relay that can cut its connections, or swallow what goes over them."""

    def __init__(self, to_port: int) -> None:
        self._to_port = to_port
        self._pipes: set[asyncio.Task[None]] = set()
        self._open = asyncio.Event()
        self._open.set()
        self.upstream_bytes = 0
        self.connections = 0

    async def __aenter__(self) -> BreakablePath:
        self._server = await asyncio.start_server(self._relay, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        self.cut()
        await asyncio.gather(*self._pipes, return_exceptions=True)

    @property
    def url(self) -> str:
        return f"ws://127.0.0.1:{self.port}"

    def swallow(self) -> None:
        """From here on nothing arrives, and nobody is told."""
        self._open.clear()

    def mend(self) -> None:
        self._open.set()

    def cut(self) -> None:
        """Break every connection."""
        for pipe in self._pipes:
            pipe.cancel()

    async def _relay(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        await self._open.wait()
        try:
            there = await asyncio.open_connection("127.0.0.1", self._to_port)
        except OSError:
            writer.transport.abort()
            return
        pipes = [
            asyncio.create_task(self._pipe(reader, there[1], counts=True)),
            asyncio.create_task(self._pipe(there[0], writer, counts=False)),
        ]
        self._pipes |= set(pipes)
        await asyncio.wait(pipes, return_when=asyncio.FIRST_COMPLETED)
        for pipe in pipes:
            pipe.cancel()
        self._pipes -= set(pipes)
        writer.transport.abort()
        there[1].transport.abort()

    async def _pipe(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, counts: bool
    ) -> None:
        with suppress(OSError):
            while block := await reader.read(65536):
                await self._open.wait()
                self.upstream_bytes += len(block) if counts else 0
                writer.write(block)
                await writer.drain()
