"""The table is consistent with itself."""

import re

import pytest

from agent.models.catalog import CATALOG, NEEDED_ROLES
from agent.models.description import Conversion, Model

MODELS = pytest.mark.parametrize("model", CATALOG.values(), ids=lambda model: model.name)
NOT_SHA256 = re.compile(r"(?![0-9a-f]{64}$)")


@MODELS
def test_has_one_source_and_says_what_it_costs_to_lack(model: Model) -> None:
    assert bool(model.installed) != bool(model.packages)
    assert model.origin.endswith(".")
    assert not model.absence.endswith(".")
    assert model.licence
    assert model.finished
    assert model.substitute is None or model.substitute in CATALOG


@MODELS
def test_every_checksum_is_one(model: Model) -> None:
    files = [member.file for _, member in model.sources()]
    if model.installed:
        files += model.installed.files
    if model.joined:
        files.append(model.joined.file)
    sums = [file.sha256 for file in files] + [package.sha256 for package in model.packages]
    assert not [checksum for checksum in sums if NOT_SHA256.match(checksum)]
    assert all(file.size > 0 for file in files)


@MODELS
def test_the_sources_suffice_for_what_is_finished(model: Model) -> None:
    sources = [member.file for _, member in model.sources()]
    assert len({file.name for file in sources}) == len(sources)
    if model.joined:
        by_name = {file.name: file for file in sources}
        assert sum(by_name[part].size for part in model.joined.parts) == model.joined.file.size
    if model.packages and model.conversion == Conversion.NONE:
        names = {file.name for file in sources} | (
            {model.joined.file.name} if model.joined else set()
        )
        assert set(model.finished) <= names


def test_every_needed_role_is_served_by_default() -> None:
    assert {model.role for model in CATALOG.values() if model.by_default} >= NEEDED_ROLES


def test_any_change_of_sources_changes_the_recipe() -> None:
    recipes = {model.recipe() for model in CATALOG.values() if model.packages}
    assert len(recipes) == sum(1 for model in CATALOG.values() if model.packages)
