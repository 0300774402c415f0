"""These tests need the extra ``[parakeet]``; `make test-parakeet` makes its environment.

Other environments collect nothing here, and a run that collects nothing fails.
"""

import importlib.util
import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

if importlib.util.find_spec("nemo") is None:
    collect_ignore_glob = ["*.py"]

os.environ.setdefault("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="session")
def checkpoints() -> dict[str, Path]:
    """Paths of the tiny checkpoints, trained once for each version of their source."""
    folder = ROOT / "build" / "parakeet"
    # Two processes of one thread each: OpenMP's threads wait for each other longer than they work.
    environment = os.environ | {"OMP_NUM_THREADS": "1"}
    trainings = [
        subprocess.Popen(
            [sys.executable, "-m", "tests.nemo.tiny", str(folder), kind],
            cwd=ROOT,
            env=environment,
            stdout=subprocess.PIPE,
            text=True,
        )
        for kind in ("tdt", "streaming")
    ]
    paths = [training.communicate()[0].strip().splitlines()[-1] for training in trainings]
    assert all(training.returncode == 0 for training in trainings)
    return {"tdt": Path(paths[0]), "streaming": Path(paths[1])}


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
