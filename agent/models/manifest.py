"""The record beside a model's finished files: what they were when set-up finished them."""

import json
from dataclasses import asdict, dataclass
from pathlib import Path

from agent.models.checksum import sha256_of

MANIFEST_NAME = "manifest.json"


@dataclass(frozen=True, slots=True)
class Stamp:
    """A file as it was when its checksum was last taken.

    Attributes:
        size: Length in bytes.
        mtime_ns: Time of last change, in nanoseconds.
        sha256: Checksum in lower-case hexadecimal.
    """

    size: int
    mtime_ns: int
    sha256: str

    @classmethod
    def of(cls, path: Path) -> "Stamp":
        """Read the file at `path` from end to end."""
        stat = path.stat()
        return cls(stat.st_size, stat.st_mtime_ns, sha256_of(path))

    def is_untouched(self, path: Path) -> bool:
        """Whether size and time of change still agree: no byte is read."""
        stat = path.stat()
        return (stat.st_size, stat.st_mtime_ns) == (self.size, self.mtime_ns)


@dataclass(frozen=True, slots=True)
class Manifest:
    """What a finished directory holds.

    Attributes:
        recipe: `Model.recipe` of the model it was made from.
        stamps: By file name.
    """

    recipe: str
    stamps: dict[str, Stamp]

    @classmethod
    def of(cls, directory: Path, recipe: str, names: tuple[str, ...]) -> "Manifest":
        """Take the checksum of every named file."""
        return cls(recipe, {name: Stamp.of(directory / name) for name in names})

    @classmethod
    def read(cls, directory: Path) -> "Manifest | None":
        """Read the manifest in `directory`; None if there is none or it is not understood."""
        try:
            record = json.loads((directory / MANIFEST_NAME).read_text("utf-8"))
            stamps = {name: Stamp(**stamp) for name, stamp in record["files"].items()}
            return cls(record["recipe"], stamps)
        except (OSError, ValueError, KeyError, TypeError, AttributeError):
            return None

    def write(self, directory: Path) -> None:
        """Replace the manifest in `directory` in one step."""
        record = {
            "recipe": self.recipe,
            "files": {name: asdict(stamp) for name, stamp in self.stamps.items()},
        }
        partial = directory / (MANIFEST_NAME + ".partial")
        partial.write_text(json.dumps(record, indent=2), "utf-8")
        partial.replace(directory / MANIFEST_NAME)
