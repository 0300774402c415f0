"""What this machine has: environment, devices, checkpoint."""

import os
import platform
import time
from collections.abc import Callable
from functools import partial
from importlib.metadata import PackageNotFoundError, version
from typing import Any

import numpy as np

from agent.errors import DuplexError
from agent.parakeet.engine import Utterance
from agent.parakeet.tools.engines import opened
from agent.parakeet.tools.report import Report

_PACKAGES = ("torch", "torch-npu", "nemo-toolkit", "tritonclient", "numpy")


def check(device: str | None, model: str | None) -> Report:
    """Look at everything a server would need, and name the fix for what is missing.

    Args:
        device: Only this one; None for all that are there.
        model: Checkpoint to load and try; None to leave it out.
    """
    rows = [_package(name) for name in _PACKAGES]
    rows += _devices(device)
    if model:
        rows.append(_tried("checkpoint", lambda: _try_model(model, device or "auto")))
    facts = {
        "python": platform.python_version(),
        "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
    }
    return Report("check", rows, facts, all(row["ok"] != "no" for row in rows))


def _package(name: str) -> dict[str, Any]:
    try:
        return {"what": name, "ok": "yes", "detail": version(name)}
    except PackageNotFoundError:
        needed = name in ("torch", "nemo-toolkit")
        detail = 'pip install "duplex-voice[parakeet]"' if needed else "not installed"
        return {"what": name, "ok": "no" if needed else "-", "detail": detail}


def _devices(device: str | None) -> list[dict[str, Any]]:
    try:
        from agent.parakeet.nemo.device import available, free_bytes, resolve
    except ImportError:
        return []

    def describe(name: str) -> str:
        found = resolve(name)
        return f"{found}, {free_bytes(found) / 2**30:.1f} GiB free"

    names = [device] if device else available()
    return [_tried(f"device {name}", partial(describe, name)) for name in names]


def _try_model(model: str, device: str) -> str:
    began_s = time.monotonic()
    with opened("nemo", {"model": model, "device": device}) as (engine, facts):
        loaded_s = time.monotonic() - began_s
        noise = np.random.default_rng(0).normal(0, 300, 16_000).astype(np.int16)
        began_s = time.monotonic()
        engine.transcribe([Utterance(noise)])
        kind = f"streams of {facts.chunk_samples / 16:.0f} ms" if facts.slots else "utterances"
        return (
            f"{facts.model} on {facts.device}: {kind}; loaded in {loaded_s:.1f} s, "
            f"1 s of noise in {1000 * (time.monotonic() - began_s):.0f} ms, "
            f"at most {facts.max_batch_s:.0f} s in a batch"
        )


def _tried(what: str, attempt: Callable[[], str]) -> dict[str, Any]:
    try:
        return {"what": what, "ok": "yes", "detail": attempt()}
    except DuplexError as error:
        return {"what": what, "ok": "no", "detail": str(error)}
