"""The service as a user runs it: a server process on loopback, with the fake engine."""

from __future__ import annotations

import io
import os
import re
import signal
import time
from pathlib import Path

import httpx
import numpy as np
import soundfile

from agent.audio.chunk import Int16Array
from tests.live import START_LIMIT_S, Started


class AsrServer(Started):
    """`duplex asr-server --engine fake` on a free port."""

    def __init__(self, *options: str, folder: Path, env: dict[str, str] | None = None) -> None:
        command = ("-m", "agent", "asr-server", "--engine", "fake", "--port", "0")
        super().__init__(*command, "--checkpoints", str(folder), *options, env=env)
        self.wait_address()
        self.url = self.address
        self.http = httpx.Client(base_url=self.url, timeout=60)

    @property
    def ws_url(self) -> str:
        return self.url.replace("http", "ws", 1)

    def wait_ready(self) -> AsrServer:
        self._until(lambda: self.http.get("/readyz").status_code == 200, "is not ready")
        return self

    def worker_pids(self) -> list[int]:
        """Children of the server, read from the kernel."""
        path = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [int(pid) for pid in path.read_text().split()]

    def kill_worker(self) -> None:
        for pid in self.worker_pids():
            os.kill(pid, signal.SIGKILL)

    def metric(self, line: str) -> float:
        """The value of one line of /metrics, 0 where it is not there yet."""
        found = re.search(rf"^{re.escape(line)} (\S+)$", self.http.get("/metrics").text, re.M)
        return float(found[1]) if found else 0.0

    def wait_metric(self, line: str, value: float) -> None:
        self._until(lambda: self.metric(line) == value, f"{line} is not {value}")

    def terminate(self) -> None:
        self.process.send_signal(signal.SIGTERM)

    def _until(self, is_true, complaint: str) -> None:
        # Polling an outside process, with a bound far above what it takes.
        end = time.monotonic() + START_LIMIT_S
        while not is_true():
            assert time.monotonic() < end, f"{complaint}:\n{self.log()}"
            assert self.process.poll() is None, f"the server ended:\n{self.log()}"
            time.sleep(0.02)


def wav(pcm: Int16Array, rate: int = 16_000) -> tuple[str, bytes, str]:
    """A file as HTTP clients send it."""
    data = io.BytesIO()
    soundfile.write(data, pcm, rate, format="WAV", subtype="PCM_16")
    return ("speech.wav", data.getvalue(), "audio/wav")


def tone(seconds: float, seed: int = 0) -> Int16Array:
    """Sound that the fake engine spells and that is unlike any other seed's: not speech."""
    count = round(seconds * 16_000)
    noise = np.random.default_rng(seed).normal(0.0, 3000.0, count)
    return np.clip(noise, -32768, 32767).astype(np.int16)
