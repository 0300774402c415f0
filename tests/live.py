"""The product's own server as a subprocess, with its real models."""

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


class LiveServer:
    """Started on a free port; `url` is what it prints."""

    def __init__(self, *command: str, **environ: str) -> None:
        command = command or ("-m", "agent", "serve", "--port", "0")
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self._lines: list[str] = []
        self._told = threading.Event()
        self.url = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    @property
    def pid(self) -> int:
        return self._process.pid

    def wait_ready(self) -> None:
        self._told.wait(START_LIMIT_S)
        if not self.url:
            self.stop()
            pytest.fail(f"the server did not start:\n{self.log()}", pytrace=False)

    def status(self) -> dict[str, Any]:
        with urllib.request.urlopen(self.url + "api/status", timeout=10) as response:
            status: dict[str, Any] = json.load(response)
        return status

    def wait(self) -> int:
        """Wait for it to end by itself; gives its exit code."""
        return self._process.wait(timeout=START_LIMIT_S)

    def log(self) -> str:
        return "".join(self._lines[-40:])

    def stop(self) -> None:
        self._process.terminate()
        try:
            self._process.wait(timeout=20)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._reader.join(timeout=5)

    def _read(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self._lines.append(line)
            found = re.search(r"https?://(127\.0\.0\.1|0\.0\.0\.0):\d+", line)
            if found and not self.url:
                self.url = found[0] + "/"
                self._told.set()
        # The end of the output is the end of the process.
        self._told.set()
