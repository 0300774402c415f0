"""``duplex asr-server check|accuracy|bench|export-triton``: parsing only."""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from agent.errors import SettingsError
from agent.parakeet.arguments import count, counts, seconds, wait


def run(tool: str, words: Sequence[str]) -> int:
    """Run one tool; returns the exit code.

    Raises:
        DuplexError: The message names the fix.
    """
    options = _parser(tool).parse_args(words)
    if tool == "check":
        from agent.parakeet.tools.check import check

        report = check(options.device, options.model)
    elif tool == "accuracy":
        from agent.parakeet.tools.accuracy import accuracy

        report = accuracy(
            options.engine,
            _config(options),
            options.against_engine or options.engine,
            _config(options) | _pairs(options.against),
            options.recordings,
        )
    elif tool == "bench":
        from agent.parakeet.tools.bench import bench

        report = bench(
            options.engine,
            _config(options),
            recording=options.recording,
            length_s=options.length,
            batches=options.batch,
            warm_up=options.warm_up,
            runs=options.runs,
            random_weights=options.random_weights,
        )
    else:
        report = _export(options)
    report.show(as_json=options.json)
    return 0 if report.is_good else 1


def _parser(tool: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog=f"duplex asr-server {tool}")
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--model", help="a .nemo file or a hub name")
    parser.add_argument("--device", help="cuda, cuda:1, cpu, npu:0, mps")
    if tool == "check":
        return parser
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE")
    if tool == "export-triton":
        parser.add_argument("folder", type=Path, help="the model repository to write")
        parser.add_argument("--name", default="parakeet", help="the model's name in it")
        parser.add_argument("--max-batch", type=count, default=32)
        parser.add_argument("--queue-delay", type=wait, default=0.005, help="s, for more to come")
        parser.add_argument("--python", default="python3", help="interpreter that has NeMo")
        parser.add_argument(
            "--backend-environment", type=Path, help="virtual environment of Triton's own Python"
        )
        return parser
    parser.add_argument("--engine", default="nemo", help="nemo, triton, fake, or module:factory")
    if tool == "accuracy":
        parser.add_argument("recordings", nargs="+", type=Path, help="sound files; NAME.txt beside")
        parser.add_argument("--against-engine", help="the reference's engine")
        parser.add_argument(
            "--against", action="append", default=[], metavar="KEY=VALUE", help="device=cpu"
        )
        return parser
    parser.add_argument("--recording", type=Path, help="what to recognise; noise if none is given")
    parser.add_argument("--length", type=seconds, default=8.0, help="of an utterance, s")
    parser.add_argument("--batch", type=counts, default="1,8,32,128", help="sizes, comma-separated")
    parser.add_argument("--warm-up", type=int, default=2)
    parser.add_argument("--runs", type=count, default=10)
    parser.add_argument(
        "--random-weights", action="store_true", help="Parakeet TDT 0.6B's shape, no checkpoint"
    )
    return parser


def _config(options: argparse.Namespace) -> dict[str, Any]:
    config = _pairs(options.set)
    for key in ("model", "device"):
        if getattr(options, key):
            config[key] = getattr(options, key)
    return config


def _pairs(texts: Sequence[str]) -> dict[str, Any]:
    """KEY=VALUE, the value as JSON or else as text."""
    config = {}
    for text in texts:
        key, found, value = text.partition("=")
        if not found:
            raise SettingsError(f"{text!r} is not KEY=VALUE")
        try:
            config[key] = json.loads(value)
        except ValueError:
            config[key] = value
    return config


def _export(options: argparse.Namespace) -> Any:
    from agent.parakeet.nemo.settings import NemoSettings
    from agent.parakeet.tools.report import Report
    from agent.parakeet.triton.repository import export

    config = _config(options)
    if (path := Path(str(config.get("model")))).suffix == ".nemo":
        # Triton runs in another folder.
        config["model"] = str(path.absolute())
    device = NemoSettings.from_config(config).device
    folder = export(
        options.folder,
        options.name,
        config,
        gpu=device.partition(":")[0] in ("cuda", "auto"),
        max_batch=options.max_batch,
        queue_delay_s=options.queue_delay,
        python=options.python,
        backend_environment=options.backend_environment,
    )
    return Report("model repository", [{"model": options.name, "folder": str(folder)}])
