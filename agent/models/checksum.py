"""SHA-256 of files, and of what passes by while it is written."""

import hashlib
from pathlib import Path
from typing import BinaryIO

BLOCK_BYTES = 1 << 20


def sha256_of(path: Path) -> str:
    """Checksum of the file at `path` in lower-case hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def copy_hashing(source: BinaryIO, target: BinaryIO) -> tuple[int, str]:
    """Copy `source` to its end.

    Returns:
        Bytes copied, and their SHA-256 in lower-case hexadecimal.
    """
    digest = hashlib.sha256()
    size = 0
    while block := source.read(BLOCK_BYTES):
        digest.update(block)
        target.write(block)
        size += len(block)
    return size, digest.hexdigest()
