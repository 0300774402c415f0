"""Graphs cut in two are made once and kept whole, or made anew where nothing can be kept."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from onnx import ModelProto, helper

from agent.errors import MissingModelError
from agent.models.kokoro_graph import Split
from agent.tts.prepared import Graphs, discard
from agent.tts.prepared import prepared as within


def model(name: str) -> ModelProto:
    return helper.make_model(helper.make_graph([], name, [], []))


def prepared(name: str, sources: list[Path], make: "Maker") -> Graphs:
    with within(name, sources, make) as graphs:
        return graphs


class Maker:
    def __init__(self) -> None:
        self.calls = 0

    def __call__(self) -> Split:
        self.calls += 1
        return Split(model("prosody"), model("decoder"))


@pytest.fixture
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DUPLEX_HOME", str(tmp_path / "home"))
    source = tmp_path / "export.onnx"
    source.write_bytes(b"weights")
    return source


def test_made_once(source: Path):
    make = Maker()
    first = prepared("voice", [source], make)
    assert prepared("voice", [source], make) == first
    assert make.calls == 1
    assert isinstance(first.decoder, Path)
    assert first.decoder.read_bytes() == model("decoder").SerializeToString()


def test_two_who_need_them_at_once_make_them_once(source: Path):
    make, both_are_here = Maker(), threading.Barrier(2, timeout=10)

    def need(_: int) -> bool:
        both_are_here.wait()
        graphs = prepared("voice", [source], make)
        assert isinstance(graphs.prosody, Path)
        return graphs.prosody.is_file()

    with ThreadPoolExecutor(2) as pool:
        assert all(pool.map(need, range(2)))
    assert make.calls == 1


def test_another_export_is_made_anew(source: Path):
    make = Maker()
    prepared("voice", [source], make)
    source.write_bytes(b"other weights")
    prepared("voice", [source], make)
    assert make.calls == 2


def test_where_nothing_can_be_kept_the_graphs_come_in_memory(source: Path):
    Path(os.environ["DUPLEX_HOME"]).write_text("a file where a folder should be")
    graphs = prepared("voice", [source], Maker())
    assert graphs.prosody == model("prosody").SerializeToString()


def test_an_absent_source_is_named(source: Path):
    with pytest.raises(MissingModelError, match=r"absent\.onnx"):
        prepared("voice", [source.with_name("absent.onnx")], Maker())


def test_what_is_being_opened_is_not_discarded(source: Path):
    is_discarded = threading.Event()

    def remove() -> None:
        discard("voice")
        is_discarded.set()

    with within("voice", [source], Maker()) as graphs:
        thread = threading.Thread(target=remove)
        thread.start()
        # It waits; had it not, this is long enough to see it go.
        assert not is_discarded.wait(0.2)
        assert isinstance(graphs.decoder, Path)
        assert graphs.decoder.is_file()
    thread.join(10)
    assert not graphs.decoder.exists()


def test_what_is_there_is_used_where_nothing_can_be_written(source: Path, monkeypatch):
    kept = prepared("voice", [source], Maker())

    def refuse() -> None:
        raise PermissionError("read-only file system")

    monkeypatch.setattr("agent.tts.prepared._alone", refuse)
    make = Maker()
    assert prepared("voice", [source], make) == kept
    discard("voice")
    assert make.calls == 0
    assert isinstance(kept.decoder, Path)
    assert kept.decoder.is_file()
