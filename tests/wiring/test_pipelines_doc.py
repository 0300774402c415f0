"""Every snippet of docs/pipelines.md, run as it stands there."""

import re
import sys
from pathlib import Path

import pytest

from agent.__main__ import main

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / "docs" / "pipelines.md").read_text(encoding="utf-8")
PYTHON = re.findall(r"```python\n(.*?)```", TEXT, re.S)
YAML = re.findall(r"```yaml\n(.*?)```", TEXT, re.S)


def test_there_are_no_snippets_of_another_kind():
    assert len(re.findall(r"^```\w", TEXT, re.M)) == len(PYTHON) + len(YAML) == 6


@pytest.mark.parametrize("number", range(len(PYTHON)))
def test_a_python_snippet_runs(number, tmp_path, monkeypatch):
    # Hints of local classes are looked up in the module that holds them.
    module = type(sys)("snippet")
    monkeypatch.setitem(sys.modules, "snippet", module)
    exec(compile(PYTHON[number], "docs/pipelines.md", "exec"), vars(module))
    if agent := vars(module).get("agent"):
        assert {tool.name for tool in agent.tools} in ({"book", "free_seats"}, set())


def test_the_file_is_in_order(tmp_path, monkeypatch, capsys):
    (text,) = YAML
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "bicycles.py").write_text('def stock() -> int:\n    """Count."""\n    return 3\n')
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    assert main(["check", str(path)]) == 0
    assert "agent Shop, tools: stock" in capsys.readouterr().out


def test_every_file_named_exists():
    named = [*re.findall(r"\]\(([\w./-]+)\)", TEXT), "pipelines"]
    named += re.findall(r"`(tests/[\w/]+\.py)`", TEXT)
    for name in named:
        assert (ROOT / "docs" / name).exists() or (ROOT / name).exists(), name
