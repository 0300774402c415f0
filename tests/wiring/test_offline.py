"""After set-up nothing is ever fetched: a spoken turn with the network cut."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.speech import dialogue, write

pytestmark = pytest.mark.model

WATCH = Path(__file__).parent / "watch"


def run(command, folder, prefix=()):
    log = folder / "connections.txt"
    environ = {
        **os.environ,
        "PYTHONPATH": f"{WATCH}{os.pathsep}{os.environ.get('PYTHONPATH', '')}",
        "DUPLEX_TEST_CONNECTIONS": str(log),
    }
    result = subprocess.run(
        [*prefix, sys.executable, *command],
        env=environ,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    return result, log.read_text() if log.exists() else ""


def without_network():
    """A command prefix that leaves only the loopback interface."""
    if sys.platform != "linux":
        pytest.skip("network namespaces are only for Linux")
    if not (shutil.which("unshare") and shutil.which("ip")):
        pytest.skip("needs unshare and ip: apt install util-linux iproute2")
    as_root = [] if os.geteuid() == 0 else ["--map-root-user"]
    script = 'ip link set lo up && exec "$@"'
    return ["unshare", "--net", *as_root, "sh", "-c", script, "sh"]


def test_the_watch_sees_an_attempt(tmp_path):
    code = "import socket\ntry: socket.create_connection(('192.0.2.1', 9), 0.1)\nexcept OSError: 0"
    _, connections = run(["-c", code], tmp_path)
    assert "192.0.2.1" in connections


def test_a_spoken_turn_needs_no_network(tmp_path):
    question = write(tmp_path / "in.wav", dialogue(1.0, "What is the capital of France?", 1.0))
    command = ["-m", "agent", "replay", str(question), "--json"]

    result, connections = run(command, tmp_path, without_network())

    assert result.returncode == 0, result.stderr
    assert "paris" in json.loads(result.stdout)["turns"][0]["answered"].lower()
    assert connections == ""
