"""`duplex run`, `duplex call` and `duplex check`: an agent that is a YAML file."""

import asyncio
import json
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from loguru import logger

from agent.agent import Agent
from agent.document import read
from agent.errors import SettingsError
from agent.live import waiting
from agent.named import require_named
from agent.parts import backups, resolved
from agent.settings import Settings, load

if TYPE_CHECKING:
    from agent.server.outbound import Outbound


class FileAgent:
    """The agent of a YAML file, as the file is when a conversation begins, and its settings.

    A file that has become wrong changes nothing: callers keep the last agent that was right.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self._path = path
        self._settings = settings
        self._at_start = settings
        self._agent = Agent.of(settings.agent)
        self._stamp = self._look()

    def __call__(self) -> Agent:
        """Return the agent of now."""
        self._follow()
        return self._agent

    def settings(self) -> Settings:
        """Return the settings of now, as they stand in the file."""
        self._follow()
        return self._settings

    def _follow(self) -> None:
        stamp = self._look()
        if stamp != self._stamp:
            self._stamp = stamp
            self._reload()

    def _reload(self) -> None:
        try:
            settings = _loaded(self._path)
            agent = Agent.of(settings.agent)
        except SettingsError as error:
            logger.error("the agent stays as it was: {}", error)
            return
        self._agent, self._settings = agent, settings
        if later := waiting(self._at_start, settings):
            logger.warning("restart to apply what has changed: {}", ", ".join(later))
        logger.info("new conversations are held as {} says now", self._path)

    def _look(self) -> tuple[int, int]:
        try:
            seen = self._path.stat()
        except OSError:
            return (0, 0)
        return seen.st_mtime_ns, seen.st_size


def run(
    path: Path | None,
    host: str | None,
    port: int | None,
    *,
    record: Mapping[str, Any] | None = None,
    settings: Settings | None = None,
) -> int:
    """Serve the agent of a file until interrupted.

    Args:
        path: The file; None for the agent of `settings`.
        host: Address to listen on, instead of the file's.
        port: Likewise.
        record: Changes of the section `record`.
        settings: Where there is no file.

    Raises:
        SettingsError: Something in the file is wrong.
    """
    from agent.server.serve import serve

    settings = _read(path) if path else settings or Settings()
    file = FileAgent(path, settings) if path else None
    settings = _keeping(settings, record)

    def now() -> Settings:
        assert file
        # What the command line says of recording holds, whatever the file says by now.
        return _keeping(file.settings(), record)

    given = {"host": host, "port": port}
    changed = {name: value for name, value in given.items() if value is not None}
    settings = settings.model_copy(update={"server": settings.server.model_copy(update=changed)})
    asyncio.run(serve(settings, agent=file, now=now if file else None))
    return 0


def _keeping(settings: Settings, record: Mapping[str, Any] | None) -> Settings:
    if not record:
        return settings
    kept = settings.record.model_copy(update=dict(record))
    return settings.model_copy(update={"record": kept})


def call(path: Path | None, wanted: "Outbound", settings: Settings) -> int:
    """Let the agent of a file, or of the settings if there is none, call somebody.

    Raises:
        SettingsError: Something in the file is wrong, or the address makes no sense.
        RetryError: The call was not taken.
    """
    from agent.server.outbound import call

    settings = wanted.over(settings if path is None else _read(path))
    agent = Agent.of(settings.agent)
    asyncio.run(call(settings, wanted, agent=lambda: agent))
    return 0


def check(path: Path) -> int:
    """Say whether a file is right, down to the Python it names.

    Raises:
        SettingsError: It is not.
    """
    settings = _read(path)
    agent = Agent.of(settings.agent)
    for server in agent.servers:
        server.connect()  # Opens nothing yet; says what is not installed or not set.
    resolved(settings)
    backups(settings)
    tools = ", ".join(tool.name for tool in agent.tools) or "none"
    print(f"{path}: in order; agent {agent.name}, tools: {tools}")
    return 0


def schema() -> int:
    """Print the JSON schema of a file, for editors."""
    print(json.dumps(Settings.model_json_schema(), indent=2))
    return 0


def _read(path: Path) -> Settings:
    # Tools that lie beside the file are found wherever it is started from.
    sys.path.insert(0, str(path.resolve().parent))
    return _loaded(path)


def _loaded(path: Path) -> Settings:
    settings = load(path)
    require_named(settings, read(path))
    return settings
