"""Programs that talk to a server over `/v1/stream`, as many as wanted, in real time."""

import asyncio
import contextlib
import json
import os
import re
import subprocess
import sys
import urllib.request
from collections.abc import AsyncIterator, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import websockets

from agent.observe.lateness import Lateness

RATE = 16_000
PACKET_S = 0.02
_PACKET = round(PACKET_S * RATE)
ROOT = Path(__file__).resolve().parents[1]
INSTANT = ("-m", "benchmarks.instant", "--answer-s", "2")
REAL = ("-m", "agent", "serve", "--port", "0")


@dataclass
class Heard:
    """What callers noticed. Seconds.

    Attributes:
        lateness_s: Of each packet that was not the first of an answer.
        voice_to_voice_s: Of each turn, as the server tells.
        failures: What went wrong, by its name.
        refused: Of each caller told 503, when to come back; None if it was not told.
    """

    lateness_s: list[float] = field(default_factory=list)
    voice_to_voice_s: list[float] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    refused: list[float | None] = field(default_factory=list)


class Server:
    """A server in a process of its own."""

    def __init__(self, command: Sequence[str], **environ: str) -> None:
        self._process = subprocess.Popen(
            [sys.executable, *command],
            cwd=ROOT,
            env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
            stdout=subprocess.PIPE,
            stderr=None if os.environ.get("SHOW_LOG") else subprocess.DEVNULL,
            text=True,
        )
        assert self._process.stdout is not None
        self.url = ""
        for line in self._process.stdout:
            if found := re.search(r"http://[\d.]+:\d+", line):
                self.url = found[0]
                break
        if not self.url:
            raise SystemExit("the server did not start")

    @property
    def pid(self) -> int:
        """Of the process."""
        return self._process.pid

    def cpu_s(self) -> float:
        """Processor time used so far: unlike wall-clock time, no neighbour changes it much."""
        stat = Path(f"/proc/{self.pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
        return (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK")

    def get(self, path: str) -> str:
        """A page."""
        with urllib.request.urlopen(self.url + path, timeout=10) as response:
            return str(response.read().decode())

    def metric(self, name: str) -> float:
        """A series without labels, or the sum of all with any."""
        found = re.findall(rf"^{name}(?:{{.*}})? (\S+)$", self.get("/metrics"), re.M)
        return sum(map(float, found))

    def packets(self) -> dict[str, float]:
        """Packets sent so far, by the server's own count: all, and those at most 20 ms late."""
        text = self.get("/metrics")
        found = re.findall(r'^duplex_frame_lateness_seconds_bucket{le="(.*)"} (\S+)$', text, re.M)
        upto = {bound: float(count) for bound, count in found}
        return {"all": upto["+Inf"], "in_time": upto["0.02"]}

    def stop(self) -> int:
        """Tell it to stop; gives its exit code."""
        self._process.terminate()
        return self._process.wait(timeout=30)


@contextlib.contextmanager
def serving(command: Sequence[str], **environ: str) -> Iterator[Server]:
    """A server while the block lasts."""
    server = Server(command, **environ)
    try:
        yield server
    finally:
        server.stop()


def turns(speech_s: float = 0.8, silence_s: float = 3.2) -> Any:
    """One turn of a caller's: sound, then time for an answer. Shape (n,), int16, 16 kHz."""
    sound = (9000 * np.sin(np.arange(round(speech_s * RATE)) / 10)).astype(np.int16)
    return np.concatenate([sound, np.zeros(round(silence_s * RATE), np.int16)])


async def converse(url: str, track: Any, heard: Heard, *, after_s: float = 0.0) -> None:
    """Play `track` in real time, and note what comes back."""
    await asyncio.sleep(after_s)
    address = url.replace("http", "ws", 1) + f"/v1/stream?sample_rate={RATE}&events=all"
    try:
        async with websockets.connect(address, compression=None) as socket:
            listening = asyncio.create_task(_listen(socket, heard))
            await _speak(socket, track)
            listening.cancel()
    except websockets.InvalidStatus as error:
        if error.response.status_code != 503:
            heard.failures.append(f"status {error.response.status_code}")
            return
        told = error.response.headers.get("Retry-After")
        heard.refused.append(float(told) if told else None)
    except (OSError, websockets.WebSocketException, TimeoutError) as error:
        heard.failures.append(type(error).__name__)


async def _listen(socket: Any, heard: Heard) -> None:
    loop = asyncio.get_running_loop()
    lateness, is_first = Lateness(), True
    async for message in socket:
        if isinstance(message, bytes):
            late_s = lateness.push(loop.time(), len(message) / (2 * RATE))
            if not is_first:
                heard.lateness_s.append(late_s)
            is_first = False
            continue
        event = json.loads(message)
        if event["type"] == "turn":
            lateness.restart()
            is_first = True
            if (took_s := event["stages"].get("voice_to_voice_s")) is not None:
                heard.voice_to_voice_s.append(took_s)


async def _speak(socket: Any, track: Any) -> None:
    loop = asyncio.get_running_loop()
    start_s = loop.time()
    for start in range(0, len(track), _PACKET):
        await socket.send(track[start : start + _PACKET].tobytes())
        await asyncio.sleep(max(0.0, start_s + (start + _PACKET) / RATE - loop.time()))


@contextlib.asynccontextmanager
async def calls(url: str, count: int, track: Any) -> AsyncIterator[Heard]:
    """`count` callers while the block lasts, begun evenly over one turn, and waited for."""
    heard = Heard()
    step_s = min(4.0 / count, 0.5)
    async with asyncio.TaskGroup() as group:
        for i in range(count):
            group.create_task(converse(url, track, heard, after_s=i * step_s))
        yield heard


def quantile(values: Sequence[float], share: float) -> float | None:
    """The value under which `share` of all lie."""
    if not values:
        return None
    return round(float(np.quantile(np.asarray(values), share)), 4)
