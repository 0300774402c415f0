"""What a file names and settings cannot know: Python, voices, models, keys of other servers."""

import os
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from typing import Any

from agent.choices import Choice, Role, imported, imported_module, nearest, parse, split_endpoint
from agent.document import Document, Place
from agent.errors import SettingsError
from agent.models.catalog import CATALOG
from agent.models.description import Role as ModelRole
from agent.models.store import is_present, locate
from agent.settings import Settings

_FULL = "kokoro-82m"


def require_named(
    settings: Settings, document: Document, environ: Mapping[str, str] = os.environ
) -> None:
    """Make sure that everything a file names is there.

    Args:
        settings: As the file was read.
        document: Where each of them stands.
        environ: Holds the keys of other servers.

    Raises:
        SettingsError: Something is not; the message has the file, the line and the nearest.
    """
    for place, look in _named(settings, environ):
        try:
            look()
        except SettingsError as error:
            name = ".".join(map(str, place))
            raise SettingsError(f"{document.where(place)}{name}: {error}") from error


def _named(
    settings: Settings, environ: Mapping[str, str]
) -> Iterator[tuple[Place, Callable[[], Any]]]:
    agent, models = settings.agent, settings.models
    python: list[tuple[Place, str | None]] = [
        *((("agent", "tools", number), name) for number, name in enumerate(agent.tools)),
        (("agent", "flow"), agent.flow),
        (("turns", "policy"), settings.turns.policy),
    ]
    for place, name in python:
        if name:
            yield place, partial(imported, name)
    if agent.pipecat_handlers:
        handlers = agent.pipecat_handlers
        yield ("agent", "pipecat_handlers"), partial(imported_module, handlers)
    chosen: list[tuple[Place, Role, str | None]] = [
        (("models", "asr"), "asr", models.asr),
        *((("models", "llm", number), "llm", name) for number, name in enumerate(models.llm)),
        (("models", "tts"), "tts", models.tts),
        *(
            (("models", "tts_standby", number), "tts", name)
            for number, name in enumerate(models.tts_standby)
        ),
    ]
    for place, role, name in chosen:
        if name:
            choice = parse(role, name)
            yield place, partial(_require, role, choice, settings, environ)
    tts = settings.tts
    yield ("tts", "voice"), partial(_require_voice, tts.tier, tts.voice, settings)
    yield ("llm", "embedded"), partial(_require_weights, settings.llm.embedded, settings)


def _require(role: Role, choice: Choice, settings: Settings, environ: Mapping[str, str]) -> None:
    if choice.is_python:
        choice.load()
    elif choice.kind == "openai":
        split_endpoint(role, choice.which).key(environ)
    elif choice.kind == "embedded" and choice.which:
        _require_weights(choice.which, settings)
    elif role == "tts":
        tier = choice.kind.partition("-")[2]
        _require_voice(tier, choice.which, settings)


def _require_voice(tier: str, voice: str, settings: Settings) -> None:
    voices = {"af_heart"}
    if tier != "student":
        paths = settings.models.paths
        if is_present(_FULL, paths):
            voices |= {file.stem for file in (locate(_FULL, paths) / "voices").glob("*.bin")}
        else:
            finished = CATALOG[_FULL].finished
            voices |= {name[7:-4] for name in finished if name.startswith("voices/")}
    if voice not in voices:
        raise SettingsError(f"there is no voice '{voice}': {nearest(voice, sorted(voices))}")


def _require_weights(name: str, settings: Settings) -> None:
    known = {model.name for model in CATALOG.values() if model.role is ModelRole.LLM}
    known |= set(settings.models.paths)
    if name not in known:
        raise SettingsError(f"there is no embedded model '{name}': {nearest(name, sorted(known))}")
