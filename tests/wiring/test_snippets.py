"""Every snippet of the README and the documents: run, or where it cannot be, read by what reads it.

Python is executed. YAML is loaded by the program it is for. Of shell lines, each program, option,
target and extra must exist; what the README's commands do is seen in test_readme.py, the services'
in tests/parakeet and tests/nemo.
"""

import asyncio
import json
import re
import shlex
import sys
import tomllib
from importlib.util import find_spec
from pathlib import Path

import pytest

from agent import document
from agent.__main__ import _parser, main
from agent.eval.scenario import made
from agent.pipecat_flow import load as load_flow
from agent.settings import Settings
from tests.live import LiveServer
from tests.speech import spoken, write
from tests.wiring.asr_server import AsrServer

ROOT = Path(__file__).resolve().parents[2]
PAGES = sorted([*ROOT.glob("*.md"), *(ROOT / "docs").glob("*.md"), ROOT / "agent" / "README.md"])
FENCE = re.compile(r"^```(\w*)\n(.*?)^```", re.S | re.M)
SNIPPETS = [
    pytest.param(kind, text, page, id=f"{page.relative_to(ROOT)}:{number}")
    for page in PAGES
    for number, (kind, text) in enumerate(FENCE.findall(page.read_text(encoding="utf-8")), 1)
]

FOREIGN = {"tritonserver", "export", "pytest", "cd", "git", "docker", "apt", "pip"}
"""Programs that are not ours, and what the shell does itself."""


def of(*kinds):
    return [snippet for snippet in SNIPPETS if snippet.values[0] in kinds]


def test_every_snippet_is_of_a_kind_that_is_looked_at():
    assert {snippet.values[0] for snippet in SNIPPETS} <= {
        "", "sh", "console", "python", "yaml", "json", "nginx",
    }  # fmt: skip
    assert len(SNIPPETS) >= 20


@pytest.mark.parametrize(("kind", "text", "page"), of("python"))
async def test_python_runs(kind, text, page, tmp_path, monkeypatch, duplex):
    # Hints of local classes are looked up in the module that holds them.
    module = type(sys)("snippet")
    monkeypatch.setitem(sys.modules, "snippet", module)
    monkeypatch.chdir(tmp_path)
    if "127.0.0.1:7860" in text:
        live = LiveServer()
        try:
            await asyncio.to_thread(live.wait_ready)
            here = text.replace("127.0.0.1:7860", live.url.split("/")[2])
            await asyncio.to_thread(execute, here, page, module, duplex)
        finally:
            live.stop()
        return
    if "127.0.0.1:8010" not in text:
        await asyncio.to_thread(execute, text, page, module, duplex)
        return
    write(tmp_path / "call.wav", spoken("Hello."))
    server = AsrServer().start()
    try:
        await server.wait_ready()
        here = text.replace("127.0.0.1:8010", f"127.0.0.1:{server.port}")
        await asyncio.to_thread(execute, here, page, module, duplex)
    finally:
        server.kill()


def execute(text, page, module, duplex):
    """Run a snippet, and the tests it holds as pytest would."""
    exec(compile(text, page.name, "exec"), vars(module))
    for name, found in list(vars(module).items()):
        if name.startswith("test_"):
            found(duplex)
        elif name.startswith("Test"):
            for promise in dir(found):
                if promise.startswith("test_"):
                    getattr(found(), promise)()


@pytest.mark.parametrize(("kind", "text", "page"), of("yaml"))
def test_yaml_is_read_by_what_it_is_for(kind, text, page, tmp_path):
    file = document.parse(text, page.name)
    environ = dict.fromkeys(re.findall(r"\$\{(\w+)\}", text), "secret")
    if "script" in file.values:
        made(file, tmp_path, environ)
    elif "initial_node" in file.values:
        (tmp_path / "flow.yaml").write_text(text)
        load_flow(tmp_path / "flow.yaml", handlers_of(text))
    else:
        Settings.model_validate(file.filled(Settings, environ))


def handlers_of(text):
    """Stand-ins for the functions a flow names: their own test has real ones."""

    async def any_function(flow_manager):
        """Do it."""
        return {}, None

    return dict.fromkeys(re.findall(r"(?:name|handler): (\w+)", text), any_function)


@pytest.mark.parametrize(("kind", "text", "page"), of("json"))
def test_json_is_json(kind, text, page):
    for line in text.splitlines():
        json.loads(line)


@pytest.mark.parametrize(("kind", "text", "page"), of("sh", "console"))
def test_commands_exist(kind, text, page):
    for words in commands(text):
        check(words)


def test_commands_in_running_text_exist():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        inline = re.findall(r"`((?:\.venv/bin/)?duplex [^`\n]+|python -m [^`\n]+)`", text)
        indented = re.findall(r"^ {4}((?:duplex|python -m) .+)$", text, re.M)
        for command in [*inline, *indented]:
            if not re.search(r"[…|<]|\.\.\.", command):
                check(shlex.split(command.split(" # ")[0]))


def commands(text):
    text = re.sub(r"\\\n", " ", text)
    for line in text.splitlines():
        line = re.sub(r"\$\(.*\)", "substituted", line.strip().removeprefix("$ "))
        for part in line.split("&&"):
            words = shlex.split(part, comments=True)
            while words and re.fullmatch(r"[A-Z_][A-Z0-9_]*=.*", words[0]):
                words.pop(0)
            if words:
                yield words


def check(words):
    program, *rest = words
    name = Path(program).name
    match name:
        case "duplex":
            check_duplex(rest)
        case "make":
            targets = (ROOT / "Makefile").read_text()
            for target in rest:
                assert "=" in target or re.search(rf"^{target}:", targets, re.M), words
        case "python" if rest[:1] == ["-m"]:
            assert rest[1] == "pip" or find_spec(rest[1]), words
        case "pip":
            check_extras(" ".join(rest))
        case _:
            assert name in FOREIGN, words


def check_duplex(arguments):
    """The command and its options are known; what stands for a value may be left out."""
    commands = next(a for a in _parser()._actions if hasattr(a, "choices") and a.choices).choices
    position = next(i for i, word in enumerate(arguments) if word in commands)
    command = commands[arguments[position]]
    if arguments[position] == "asr-server":
        return
    known = {*command._option_string_actions, *_parser()._option_string_actions}
    given = {word.split("=")[0] for word in arguments if word.startswith("--")}
    assert given <= known, arguments


def check_extras(text):
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    for extras in re.findall(r"duplex-voice\[([\w,-]+)\]", text):
        assert set(extras.split(",")) <= set(project["optional-dependencies"]), text


def test_the_pipelines_file_is_in_order(tmp_path, monkeypatch, capsys):
    page = (ROOT / "docs" / "pipelines.md").read_text()
    text = next(text for kind, text in FENCE.findall(page) if kind == "yaml" and "bicycles" in text)
    monkeypatch.setattr(sys, "path", list(sys.path))
    (tmp_path / "bicycles.py").write_text('def stock() -> int:\n    """Count."""\n    return 3\n')
    path = tmp_path / "agent.yaml"
    path.write_text(text)
    assert main(["check", str(path)]) == 0
    assert "agent Shop, tools: stock" in capsys.readouterr().out


def test_every_file_named_exists():
    for page in PAGES:
        text = page.read_text(encoding="utf-8")
        named = re.findall(r"\]\(([\w./-]+)(?:#[\w-]*)?\)", text)
        named += re.findall(r"`((?:tests|agent|benchmarks|pipelines|docs)/[\w/-]+\.\w+)`", text)
        for name in named:
            found = [(page.parent / name).exists(), (ROOT / name).exists()]
            assert any(found), f"{page.name} names {name}"
