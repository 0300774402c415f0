"""Run the server until it is told to stop."""

import contextlib
import socket
from collections.abc import AsyncIterator, Callable

import uvicorn

from agent.agent import Agent
from agent.errors import SettingsError
from agent.parts import Parts
from agent.runtimes import Runtimes
from agent.server.app import build_app
from agent.server.asterisk import audiosocket
from agent.server.sessions import Sessions
from agent.server.telephone import telephone
from agent.settings import Settings


async def serve(
    settings: Settings,
    *,
    agent: Callable[[], Agent] | None = None,
    parts: Parts | None = None,
) -> None:
    """Load the models, print the address, serve until interrupted, drain.

    Args:
        settings: Every knob.
        agent: Asked who talks as each conversation begins; None for the agent of the settings.
        parts: What stands in a built-in model's place.

    Raises:
        SettingsError: An address is taken.
        MissingModelError: A weight is absent or damaged.
    """
    # Before the models load: a taken port should be told at once, not after five seconds.
    listener = _listen(settings)
    async with (
        _running(settings, agent, parts) as sessions,
        telephone(sessions),
        audiosocket(sessions),
    ):
        config = uvicorn.Config(build_app(sessions), log_level="warning", ws_max_size=1 << 20)
        server = _Server(config, sessions)
        host, port = listener.getsockname()[:2]
        print(f"Duplex is ready on http://{host}:{port}", flush=True)
        await server.serve(sockets=[listener])


class _Server(uvicorn.Server):
    """Lets conversations end before connections are closed."""

    def __init__(self, config: uvicorn.Config, sessions: Sessions) -> None:
        super().__init__(config)
        self._sessions = sessions

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Drain, then close."""
        await self._sessions.drain()
        await super().shutdown(sockets)


@contextlib.asynccontextmanager
async def _running(
    settings: Settings, agent: Callable[[], Agent] | None, parts: Parts | None
) -> AsyncIterator[Sessions]:
    runtimes = Runtimes(settings, parts)
    try:
        models = await runtimes.load()
        yield Sessions(settings, models, is_offline=runtimes.is_offline, agent=agent)
    finally:
        await runtimes.close()


def _listen(settings: Settings) -> socket.socket:
    host, port = settings.server.host, settings.server.port
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, or asyncio does not know it for TCP and leaves Nagle's algorithm on: 40 ms a packet.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror}; set DUPLEX_SERVER__PORT to a free "
            "port, or to 0 for any"
        ) from error
    listener.listen(128)
    return listener
