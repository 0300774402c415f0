"""From an installed package to the first spoken answer of a five-line agent, without a network.

    python -m benchmarks.first_answer [--fresh]

A script of five lines is started, in a namespace that has only the loopback interface where that is
to be had; a caller connects as soon as it can, and asks a question once the greeting is over.
Seconds count from the script's start to the first audible sample of the answer. With --fresh the
package is first installed with pip into an environment of its own; weights are those that
`duplex models fetch` has put into this machine's cache. Prints one JSON line.
"""

import argparse
import asyncio
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import venv
from pathlib import Path
from typing import Any

import numpy as np
import websockets

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.eval.scenario import CallerPart, Line
from agent.eval.speaking import AUDIBLE, speaker
from benchmarks.machine import describe

ROOT = Path(__file__).resolve().parents[1]
FIVE_LINES = """\
from agent import Agent, serve

agent = Agent("You are a friendly receptionist.", greeting="Hello, how can I help?")

serve(agent, port=0)
"""
PACKET = samples(0.02)
QUIET_S = 1.0
WITHIN_S = 180.0


def installed(folder: Path) -> Path:
    """Install the package into an environment of its own; return its Python."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    pip = [str(python), "-m", "pip", "install", "-q", "-c", str(ROOT / "constraints.txt")]
    subprocess.run([*pip, str(ROOT)], check=True)
    return python


def without_network(command: list[str]) -> tuple[list[str], bool]:
    """Return a command that runs where there is only loopback, and whether that is so."""
    if sys.platform != "linux" or not (shutil.which("unshare") and shutil.which("ip")):
        return command, False
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    prefix = ["unshare", "--net", *as_root, "sh", "-c", 'ip link set lo up && exec "$@"', "sh"]
    works = subprocess.run([*prefix, "true"], capture_output=True, check=False).returncode == 0
    return ([*prefix, *command], True) if works else (command, False)


async def ask(python: Path, question: Int16Array) -> dict[str, float]:
    """Start the five lines, talk to them, and say when each thing happened."""
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder) / "agent_of_five_lines.py"
        script.write_text(FIVE_LINES)
        began = time.monotonic()
        server = await asyncio.create_subprocess_exec(
            str(python), str(script), cwd=folder, stdout=asyncio.subprocess.PIPE,
            env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        )  # fmt: skip
        try:
            async with asyncio.timeout(WITHIN_S):
                url = await address(server)
                ready_s = time.monotonic() - began
                greeting_s, answer_s = await talk(url, question, began)
        finally:
            server.terminate()
            await server.wait()
    return {"ready_s": ready_s, "greeting_s": greeting_s, "answer_s": answer_s}


async def address(server: asyncio.subprocess.Process) -> str:
    """Read the address the server prints."""
    assert server.stdout
    async for line in server.stdout:
        if found := re.search(rb"http://(127\.0\.0\.1:\d+)", line):
            return f"ws://{found[1].decode()}/v1/stream?sample_rate={SAMPLE_RATE}"
    raise RuntimeError("the agent ended before it was ready")


async def talk(url: str, question: Int16Array, began: float) -> tuple[float, float]:
    """Ask once the greeting is over; return when greeting and answer were first heard."""
    heard: list[float] = []
    asked_at: float | None = None
    async with websockets.connect(url) as socket:

        async def listen() -> None:
            async for message in socket:
                if isinstance(message, bytes):
                    pcm = np.frombuffer(message, np.int16)
                    if np.abs(pcm.astype(np.int32)).max(initial=0) > AUDIBLE:
                        heard.append(time.monotonic())

        listening = asyncio.create_task(listen())
        sent, start = 0, time.monotonic()
        try:
            while True:
                now = time.monotonic()
                if asked_at is None and heard and now - heard[-1] > QUIET_S:
                    asked_at, sent, start = now, 0, now
                track = question if asked_at else question[:0]
                packet = track[sent : sent + PACKET]
                sent += PACKET
                await socket.send(np.pad(packet, (0, PACKET - len(packet))).tobytes())
                answers = [at for at in heard if asked_at and at > asked_at]
                if answers:
                    return heard[0] - began, answers[0] - began
                await asyncio.sleep(max(0.0, start + sent / SAMPLE_RATE - time.monotonic()))
        finally:
            listening.cancel()


def main(*, fresh: bool, inside: Path | None) -> dict[str, Any]:
    """Install if asked to, go where there is no network, and measure there."""
    if inside:
        question = speaker(CallerPart())(Line(say="What is the capital of France?")).pcm
        return asyncio.run(ask(inside, question))
    with tempfile.TemporaryDirectory() as folder:
        python = installed(Path(folder) / "venv") if fresh else Path(sys.executable)
        command = [sys.executable, "-m", "benchmarks.first_answer", "--inside", str(python)]
        command, is_cut = without_network(command)
        result = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
        if result.returncode:
            raise RuntimeError(result.stderr[-2000:])
        times = json.loads(result.stdout.splitlines()[-1])
    return {
        "benchmark": "first_answer",
        "metric": "seconds from the start of a five-line script",
        "installed": "afresh" if fresh else "already",
        "network": "none" if is_cut else "there",
        **{name: round(value, 1) for name, value in times.items()},
        **describe(),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fresh", action="store_true", help="install with pip first")
    parser.add_argument("--inside", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    print(json.dumps(main(fresh=options.fresh, inside=options.inside)))
