"""``python -m agent.models.licences``: no GPL and no non-commercial part in the default install.

Looks at every distribution that ``pip install duplex-voice`` resolves to, at what its metadata and
its licence files say, at the shared libraries in it (which no metadata mentions), and at the
models of the catalogue.
"""

import argparse
import importlib.metadata
import mmap
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from agent.models.catalog import CATALOG
from agent.models.licence_terms import is_lesser, is_refused, offers_choice, refused_text

PROJECT = "duplex-voice"

_LICENCE_FILE = re.compile(r"(licen[cs]e|copying)[^/]*$", re.IGNORECASE)
_LIBRARY = re.compile(r"\.(so|dylib|dll|pyd)(\.[\d.]+)?$", re.IGNORECASE)
_GPL_LIBRARY = re.compile(
    r"(?:^|/)(?:lib)?(x264|x265|xvidcore|espeak|espeak-ng|rubberband|fftw3f?|readline|gsl|vidstab"
    r"|postproc|xavs2?|davs2)(?![a-z])[^/]*$",
    re.IGNORECASE,
)
_GPL_MARKS = (b"--enable-gpl", b"x264 - core ", b"x265 (build ")
"""What FFmpeg built with GPL parts, and the encoders linked into something else, say of themselves.
"""


@dataclass(frozen=True, slots=True)
class Judgement:
    """What was found about one distribution or model.

    Attributes:
        name: Of the distribution or model.
        version: Empty for models.
        licence: As stated by its makers, shortened.
        faults: Why it may not be in a default install; empty if it may.
    """

    name: str
    version: str
    licence: str
    faults: tuple[str, ...]


def closure(root: str, extras: Iterable[str] = ()) -> dict[str, Distribution | None]:
    """Follow the requirements of an installed distribution, for this machine's markers.

    Args:
        root: Name of the distribution to begin with.
        extras: Its extras to follow as well.

    Returns:
        By normalised name, `root` included; None for what is required but not installed.
    """
    found: dict[str, Distribution | None] = {}
    done: set[tuple[str, str]] = set()
    waiting = [(canonicalize_name(root), extra) for extra in ("", *extras)]
    while waiting:
        name, extra = waiting.pop()
        if (name, extra) in done:
            continue
        done.add((name, extra))
        try:
            distribution = importlib.metadata.distribution(name)
        except PackageNotFoundError:
            found[name] = None
            continue
        found[name] = distribution
        for line in distribution.requires or []:
            requirement = Requirement(line)
            if requirement.marker is None or requirement.marker.evaluate({"extra": extra}):
                child = canonicalize_name(requirement.name)
                waiting += [(child, wanted) for wanted in ("", *requirement.extras)]
    return dict(sorted(found.items()))


def judge(name: str, distribution: Distribution | None) -> Judgement:
    """Look at one distribution's metadata, licence files and shared libraries."""
    if distribution is None:
        return Judgement(name, "", "", ("required, but not installed: cannot be judged",))
    stated = _stated(distribution)
    faults = [*_faults_of_statements(stated)]
    if not is_lesser(" ".join(stated)) and not any(map(offers_choice, stated)):
        faults += _faults_of_licence_files(distribution)
    faults += _faults_of_libraries(distribution)
    licence = " ".join(stated[0].split())[:48] if stated else ""
    return Judgement(name, distribution.version, licence, tuple(faults))


def judge_models() -> list[Judgement]:
    """Look at the licence of every model in the catalogue."""
    return [
        Judgement(
            model.name,
            "",
            model.licence,
            (f"its licence is {model.licence}",) if is_refused(model.licence) else (),
        )
        for model in CATALOG.values()
    ]


def main(arguments: Sequence[str] | None = None, root: str = PROJECT) -> int:
    """Print the table; returns 1 if something may not be in the default install."""
    parser = argparse.ArgumentParser(prog="python -m agent.models.licences", description=__doc__)
    parser.add_argument("--extra", help="show what an extra adds, and why it is no default")
    extra = parser.parse_args(arguments).extra
    default = closure(root)
    if extra:
        added = closure(root, [extra])
        judgements = [judge(name, added[name]) for name in added if name not in default]
        print(f"{root}[{extra}] adds:")
        _print_table(judgements)
        faulty = [judgement.name for judgement in judgements if judgement.faults]
        print(f"Not in the default install because of: {', '.join(faulty) or 'no licence'}.")
        return 0
    judgements = [judge(name, distribution) for name, distribution in default.items()]
    judgements += judge_models()
    _print_table(judgements)
    faulty = [judgement.name for judgement in judgements if judgement.faults]
    if faulty:
        print(f"May not be in the default install: {', '.join(faulty)}.")
        return 1
    print(f"{len(judgements)} parts, none GPL or non-commercial.")
    return 0


def _stated(distribution: Distribution) -> list[str]:
    """Every licence the metadata names, the most precise statement first."""
    metadata = distribution.metadata
    if "License-Expression" in metadata:
        return [metadata["License-Expression"]]
    # Some put a whole licence text here: its head names it.
    fields = [metadata["License"]] if "License" in metadata else []
    classifiers = metadata.get_all("Classifier") or []
    fields += [line.split("::")[-1] for line in classifiers if line.startswith("License ::")]
    return [field.strip() for field in fields if field.strip() not in ("", "UNKNOWN")]


def _faults_of_statements(stated: Sequence[str]) -> Iterator[str]:
    if not stated:
        yield "states no licence"
    for text in stated:
        is_expression = len(text) < 100
        if is_refused(text) if is_expression else refused_text(text):
            yield f"states {' '.join(text.split())[:60]!r}"


def _faults_of_licence_files(distribution: Distribution) -> Iterator[str]:
    for path in _files(distribution):
        # Elsewhere lie the licences of what is quoted, in the metadata folder its own.
        if _LICENCE_FILE.search(path.name) and path.parent.name.endswith(
            (".dist-info", ".egg-info", "licenses")
        ):
            name = refused_text(path.read_text("utf-8", "replace"))
            if name:
                yield f"{path.name} is {name!r}"


def _faults_of_libraries(distribution: Distribution) -> Iterator[str]:
    for path in _files(distribution):
        if not _LIBRARY.search(path.name):
            continue
        if match := _GPL_LIBRARY.search(path.name):
            yield f"carries the GPL library {match.group(1)} ({path.name})"
        elif mark := _gpl_mark(path):
            yield f"{path.name} was built with GPL parts (it says {mark!r})"


def _gpl_mark(path: Path) -> str | None:
    if path.stat().st_size == 0:
        return None
    with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as content:
        for mark in _GPL_MARKS:
            if content.find(mark) >= 0:
                return mark.decode("ascii")
    return None


def _files(distribution: Distribution) -> Iterator[Path]:
    for file in distribution.files or []:
        path = Path(str(distribution.locate_file(file)))
        if path.is_file():
            yield path


def _print_table(judgements: Sequence[Judgement]) -> None:
    for judgement in judgements:
        mark = "REFUSED" if judgement.faults else "ok"
        name = f"{judgement.name} {judgement.version}".strip()
        print(f"{mark:8}{name:32}{judgement.licence}")
        for fault in judgement.faults:
            print(f"{'':8}  {fault}")


if __name__ == "__main__":
    sys.exit(main())
