"""The import arrows between folders: the only shape a test enforces."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
AGENT = ROOT / "agent"

STAGES = ("audio", "vad", "asr", "turns", "llm", "tts", "playout")

# Folder → folders it may import from, besides itself, agent.errors and agent.settings.
MAY_IMPORT = {
    "audio": set(),
    "vad": {"audio", "models"},
    "models": {"audio"},
    "asr": {"audio", "vad", "models"},
    "tts": {"audio", "models"},
    "llm": {"models"},
    "turns": {"audio", "vad", "asr", "models"},
    "playout": {"audio", "tts"},
    "observe": {"audio", "asr"},
    "transports": {"audio", "stage"},
    "parakeet": {"asr", "audio", "vad", "models", "listener", "loopback"},
    "processors": {*STAGES, "stage", "observe", "agent", "conversation", "flow", "tools", "values"},
}


def modules():
    return sorted(path for path in AGENT.rglob("*.py") if "__pycache__" not in path.parts)


def imports(path):
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module


def folder(path):
    parts = path.relative_to(AGENT).parts
    return parts[0] if len(parts) > 1 else ""


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_follow_the_arrows(path):
    place = folder(path)
    for name in imports(path):
        if place in STAGES:
            assert not name.startswith("pipecat"), f"{place} must not know Pipecat"
        # The command line starts the service; the agent never imports it.
        is_door = path == AGENT / "__main__.py" and name == "agent.parakeet.cli"
        assert not name.startswith("agent.parakeet") or place == "parakeet" or is_door
        if place in MAY_IMPORT and name.startswith("agent."):
            target = name.split(".")[1]
            allowed = MAY_IMPORT[place] | {place, "errors", "settings"}
            assert target in allowed, f"{place} must not import agent.{target}"


@pytest.mark.parametrize("path", modules(), ids=lambda path: str(path.relative_to(ROOT)))
def test_pure_modules_read_no_clock_and_await_nothing(path):
    doc = ast.get_docstring(ast.parse(path.read_text(encoding="utf-8"))) or ""
    if doc.splitlines() and " Pure" in doc:
        first = {name.split(".")[0] for name in imports(path)}
        assert not first & {"asyncio", "time", "threading", "pipecat", "loguru"}


def test_every_stage_names_its_place():
    for number, stage in enumerate(("audio", "vad", "asr", "turns", "llm", "tts", "playout"), 2):
        text = (AGENT / stage / "__init__.py").read_text(encoding="utf-8")
        assert f"Stage {number} of 8, {stage}" in text
    assert "Stage 1 of 8" in (AGENT / "transports" / "__init__.py").read_text(encoding="utf-8")


def test_importing_the_package_is_light():
    import subprocess
    import sys

    heavy = ["numpy", "onnxruntime", "pipecat", "torch", "openai", "xllamacpp", "hibari", "aiortc"]
    code = f"import sys, agent; print([name for name in {heavy} if name in sys.modules])"
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stdout.strip() == "[]"
