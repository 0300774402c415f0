"""Latency, throughput and batch sizes of an engine, in this process: no server between."""

import os
import platform
import statistics
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.parakeet.engine import Failure, OutOfMemoryError, Utterance
from agent.parakeet.tools.accuracy import read
from agent.parakeet.tools.engines import opened
from agent.parakeet.tools.report import Report


def bench(
    engine: str,
    config: Mapping[str, Any],
    *,
    recording: Path | None,
    length_s: float,
    batches: Sequence[int],
    warm_up: int,
    runs: int,
    random_weights: bool,
) -> Report:
    """Measure batches of equal utterances.

    Args:
        engine: Its name.
        config: Its settings.
        recording: What to recognise, repeated or cut to `length_s`; noise if None.
        length_s: Of one utterance.
        batches: Sizes to measure.
        warm_up: Passes that do not count, for each size.
        runs: Passes that do.
        random_weights: Measure Parakeet TDT 0.6B's shape without its weights. Its token loop emits
            four tokens a second, about what speech has.

    Returns:
        For each size: seconds of a pass (median and worst), audio seconds recognised in a second,
        and the share of each stage.
    """
    pcm = _audio(recording, length_s)
    with tempfile.TemporaryDirectory() as folder:
        if random_weights:
            from agent.parakeet.tools.random_weights import make

            config = {**config, "model": str(make(Path(folder)))}
        config = (
            {"max_batch": max(batches), "memory_mb": 0, **config} if engine == "nemo" else config
        )
        with opened(engine, config) as (loaded, facts):
            rows = [_measured(loaded, pcm, size, warm_up, runs) for size in batches]
    where = {
        "engine": f"{facts.engine} {facts.model}",
        "device": facts.device,
        "machine": f"{platform.machine()}, {os.cpu_count()} cores",
        "utterance_s": length_s,
        "runs": runs,
        "random_weights": random_weights,
    }
    return Report("bench", rows, where)


def _audio(recording: Path | None, length_s: float) -> Int16Array:
    count = round(length_s * SAMPLE_RATE)
    if recording is None:
        return np.random.default_rng(0).normal(0, 1500, count).astype(np.int16)
    return np.resize(read(recording), count)


def _measured(engine: Any, pcm: Int16Array, size: int, warm_up: int, runs: int) -> dict[str, Any]:
    utterances = [Utterance(pcm)] * size
    stages: dict[str, float] = {"mel": 0.0, "encode": 0.0, "decode": 0.0}
    taken_s = []
    try:
        for number in range(warm_up + runs):
            began_s = time.perf_counter()
            batch = engine.transcribe(utterances)
            if number < warm_up:
                continue
            taken_s.append(time.perf_counter() - began_s)
            for stage, seconds in batch.stages_s.items():
                stages[stage] = stages.get(stage, 0.0) + seconds / runs
    except OutOfMemoryError:
        return (
            {"batch": size, "p50_ms": "no room", "worst_ms": "", "x_real_time": ""}
            | {f"{stage}_ms": "" for stage in ("mel", "encode", "decode")}
            | {"failed": size}
        )
    median_s = statistics.median(taken_s)
    return {
        "batch": size,
        "p50_ms": 1000 * median_s,
        "worst_ms": 1000 * max(taken_s),
        "x_real_time": size * len(pcm) / SAMPLE_RATE / median_s,
        **{f"{stage}_ms": 1000 * stages[stage] for stage in ("mel", "encode", "decode")},
        "failed": sum(isinstance(result, Failure) for result in batch.results),
    }
