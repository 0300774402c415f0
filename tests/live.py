"""The product's own servers as subprocesses."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import threading
import urllib.request
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[1]
START_LIMIT_S = 120.0
"""Covers a cold start on a busy machine; a warm one takes about five seconds."""


class Started:
    """A server of ours in a process of its own; `address` is what it prints."""

    def __init__(self, *command: str, env: dict[str, str] | None = None) -> None:
        self.process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **(env or {})},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._told = threading.Event()
        self.address = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def wait_address(self) -> None:
        self._told.wait(START_LIMIT_S)
        if not self.address:
            self.stop()
            pytest.fail(f"the server did not start:\n{self.log()}", pytrace=False)

    def log(self) -> str:
        return "".join(self._lines[-40:])

    def stop(self) -> None:
        self.process.terminate()
        try:
            self.process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self._reader.join(timeout=5)

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self._lines.append(line)
            found = re.search(r"https?://(127\.0\.0\.1|0\.0\.0\.0):\d+", line)
            if found and not self.address:
                self.address = found[0]
                self._told.set()
        # The end of the output is the end of the process.
        self._told.set()


class LiveServer(Started):
    """The agent's server, on a free port."""

    def __init__(self, *command: str, **environ: str) -> None:
        super().__init__(*(command or ("-m", "agent", "serve", "--port", "0")), env=environ)

    @property
    def url(self) -> str:
        return self.address + "/"

    @property
    def pid(self) -> int:
        return self.process.pid

    def wait_ready(self) -> None:
        # It prints its address once all models are loaded.
        self.wait_address()

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + "api/status", timeout=10) as response:
            status: dict[str, Any] = json.load(response)
        return status

    def wait(self) -> int:
        """Wait for it to end by itself; gives its exit code."""
        return self.process.wait(timeout=START_LIMIT_S)
