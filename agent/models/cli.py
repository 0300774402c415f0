"""``duplex models``: fetch, verify and list, each a function that returns the exit code."""

from collections.abc import Sequence

from agent.errors import MissingModelError
from agent.models import store
from agent.models.catalog import CATALOG
from agent.models.description import Model
from agent.models.download import megabytes
from agent.models.fetch import prepare


def fetch(names: Sequence[str] = ()) -> int:
    """Bring the named models, or all of a default install.

    Returns:
        1 if a model asked for by name, or one the agent cannot do without, was not to be had.
    """
    try:
        lacking = prepare(list(names) or None, report=_say)
    except MissingModelError as error:
        _say(f"models: {error}")
        return 1
    return 1 if names and lacking else 0


def verify(names: Sequence[str] = ()) -> int:
    """Read every byte of the named models, or of all that a default install has.

    Returns:
        1 if a model is damaged, or absent although asked for by name or indispensable.
    """
    failed = False
    for name in names or [model.name for model in CATALOG.values()]:
        try:
            directory = store.verify(name)
        except MissingModelError as error:
            is_absence = not names and not _is_here(name)
            may_lack = is_absence and not CATALOG[name].required
            _say(f"{'absent ' if may_lack else 'FAILED '} {error}")
            failed |= not may_lack
        else:
            _say(f"right   {name}: every byte in {directory}")
    return 1 if failed else 0


def listing() -> int:
    """Print every model there is, whether it is here, its licence and where it comes from."""
    rows = [("MODEL", "FOR", "HERE", "SIZE", "LICENCE")]
    rows += [_row(model) for model in CATALOG.values()]
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        _say("  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip())
    _say("")
    for model in CATALOG.values():
        _say(f"{model.name}: {model.origin} Without it, {model.absence}.")
    return 0


def _row(model: Model) -> tuple[str, str, str, str, str]:
    here = "yes" if store.is_present(model.name) else "no"
    if here == "no" and _is_here(model.name):
        here = "DAMAGED"
    return model.name, model.role, here, megabytes(model.finished_bytes), model.licence


def _is_here(name: str) -> bool:
    """Whether there is anything of the model, sound or not."""
    model = CATALOG[name]
    return model.installed is not None or store.finished_directory(model).is_dir()


def _say(line: str) -> None:
    # Set-up is long and often read through a pipe: a line must not wait for the next.
    print(line, flush=True)
