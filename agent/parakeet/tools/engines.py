"""Engines by their short names, loaded and closed."""

import importlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from agent.errors import SettingsError
from agent.parakeet.engine import Engine, Facts
from agent.parakeet.serve import ENGINES


@contextmanager
def opened(name: str, config: Mapping[str, Any]) -> Iterator[tuple[Engine, Facts]]:
    """Load an engine in this process, on this thread.

    Raises:
        SettingsError: No such engine, or it cannot be loaded.
    """
    factory = ENGINES.get(name, name)
    module, found, attribute = factory.partition(":")
    if not found:
        raise SettingsError(f"engine {name!r} is none of {', '.join(ENGINES)}, nor module:factory")
    try:
        engine: Engine = getattr(importlib.import_module(module), attribute)(config)
        facts = engine.load()
    except ImportError as error:
        raise SettingsError(
            f"engine {name} needs {error.name}: run this from the environment that has it, "
            'pip install "duplex-voice[parakeet]"'
        ) from error
    try:
        yield engine, facts
    finally:
        engine.close()
