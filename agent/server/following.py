"""The models of a server whose settings are a file: when it names others, others are loaded."""

import asyncio
from collections.abc import Callable

from loguru import logger

from agent.errors import DuplexError
from agent.live import applied, with_models
from agent.parts import Parts
from agent.runtimes import Runtimes
from agent.server.sessions import Sessions
from agent.session import Models
from agent.settings import Settings

_LOOK_S = 1.0


class Following:
    """Loads models, and loads others beside them once the file names others.

    A conversation keeps the models it began with, which are given up when the last such has ended;
    until then both are in memory. Models that cannot be loaded change nothing.
    """

    def __init__(
        self, settings: Settings, parts: Parts | None, now: Callable[[], Settings] | None
    ) -> None:
        """Prepare; nothing is loaded yet.

        Args:
            settings: Of the process, with what the command line has changed.
            parts: Models of a developer's own, which no file exchanges.
            now: Gives the settings as they are now; None where they never change.
        """
        self._settings = settings
        self._parts = parts
        self._now = now
        self._wanted = settings
        self._runtimes = Runtimes(settings, parts)
        self._retiring: set[asyncio.Task[None]] = set()

    @property
    def is_offline(self) -> bool:
        """Whether nothing that is said leaves this machine."""
        return self._runtimes.is_offline

    async def load(self) -> Models:
        """Load the models to begin with.

        Raises:
            MissingModelError: See `Runtimes.load`.
            DegradedError: Likewise.
        """
        return await self._runtimes.load()

    def current(self) -> Settings:
        """Return the settings of the conversation that begins now; its models heed them."""
        following = applied(self._settings, self._now()) if self._now else self._settings
        self._runtimes.adopt(following)
        return following

    async def watch(self, sessions: Sessions) -> None:
        """Exchange the models whenever the file names others, until cancelled."""
        while self._now:
            await asyncio.sleep(_LOOK_S)
            wanted = with_models(self._settings, self._now())
            if wanted != self._wanted:
                self._wanted = wanted
                if wanted != self._settings:
                    await self._exchange(wanted, sessions)

    async def close(self) -> None:
        """Stop what runs beside this process."""
        for task in self._retiring:
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)
        await self._runtimes.close()

    async def _exchange(self, settings: Settings, sessions: Sessions) -> None:
        logger.info("loading the models that the file names now")
        others = None
        try:
            others = Runtimes(settings, self._parts)
            models = await others.load()
        except (DuplexError, OSError, RuntimeError, ValueError) as error:
            logger.error("the models stay as they were: {}", error)
            if others:
                await others.close()
            return
        before, self._runtimes, self._settings = self._runtimes, others, settings
        self._retire(before, sessions.exchange(models, is_offline=others.is_offline))
        logger.info("new conversations are held with {}", models.names)

    def _retire(self, runtimes: Runtimes, users: list["asyncio.Task[None]"]) -> None:
        async def retire() -> None:
            try:
                if users:
                    await asyncio.wait(users)
            finally:
                await runtimes.close()

        task = asyncio.create_task(retire(), name="retire-models")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
