"""Which weights the embedded server runs."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from loguru import logger

from agent.errors import MissingModelError
from agent.models import store

_LAST_RESORT = "smollm2-135m"


@dataclass(frozen=True, slots=True)
class Weights:
    """A language model on this machine.

    Attributes:
        name: As in the catalogue.
        gguf: The file.
    """

    name: str
    gguf: Path


def find(preferred: str, overrides: Mapping[str, Path] | None = None) -> Weights:
    """Find the preferred model, or the one that set-up brings where it cannot bring that.

    Args:
        preferred: Name in the catalogue.
        overrides: Directories from the settings, by model name.

    Raises:
        MissingModelError: Neither is there.
    """
    try:
        return _at(preferred, overrides)
    except MissingModelError as error:
        try:
            weights = _at(_LAST_RESORT, overrides)
        except MissingModelError:
            raise error from None
        logger.warning("{}. Answers come from {}, a weaker model", error, weights.name)
        return weights


def _at(name: str, overrides: Mapping[str, Path] | None) -> Weights:
    return Weights(name, store.locate(name, overrides) / "model.gguf")
