"""Run the server until it is told to stop."""

import asyncio
import contextlib
import gc
import signal
import socket
import ssl
from collections.abc import AsyncIterator, Callable, Generator

import uvicorn

from agent.agent import Agent
from agent.errors import SettingsError
from agent.listener import listening_on
from agent.parts import Parts
from agent.server.admission import require_keys
from agent.server.app import build_app
from agent.server.asterisk import audiosocket
from agent.server.connections import BACKLOG, options
from agent.server.following import Following
from agent.server.retention import retention
from agent.server.sessions import Sessions
from agent.server.telephone import telephone
from agent.settings import ServerSettings, Settings


async def serve(
    settings: Settings,
    *,
    agent: Callable[[], Agent] | None = None,
    parts: Parts | None = None,
    now: Callable[[], Settings] | None = None,
) -> None:
    """Load the models, print the address, serve until interrupted, drain.

    Args:
        settings: Every knob.
        agent: Asked who talks as each conversation begins; None for the agent of the settings.
        parts: What stands in a built-in model's place.
        now: Asked for the settings as each conversation begins; of these, what needs no restart
            is taken.

    Raises:
        SettingsError: An address is taken, open to the network without a key, or its certificate
            is of no use.
        MissingModelError: A weight is absent or damaged.
    """
    # Before the models load: what is wrong here should be told at once, not after five seconds.
    listener = listen(settings.server)
    async with (
        _running(settings, agent, parts, now) as sessions,
        telephone(sessions),
        audiosocket(sessions),
        retention(settings),
    ):
        await serve_sessions(sessions, listener)


def keep_what_is_loaded() -> None:
    """Take modules and models out of the garbage collector's sight: they stay for good.

    Looking through them again and again holds up speech for a tenth of a second and more each time.
    """
    gc.collect()
    gc.freeze()


async def serve_sessions(sessions: Sessions, listener: socket.socket) -> None:
    """Serve conversations on a socket until the process is told to stop, then drain."""
    settings = sessions.settings.server
    keep_what_is_loaded()
    server = _Server(uvicorn.Config(build_app(sessions), **options(settings)), sessions)
    host, port = listener.getsockname()[:2]
    address = (
        f"http{'s' if settings.certificate else ''}://{f'[{host}]' if ':' in host else host}:{port}"
    )
    print(f"Duplex is ready on {address}", flush=True)
    if settings.keys:
        print(f"The page is at {address}/#key=KEY, with one of the keys in server.keys", flush=True)
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

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        """As uvicorn's; but who was told to stop, and has, did not fail."""
        with super().capture_signals():
            yield
            self._captured_signals = [s for s in self._captured_signals if s != signal.SIGTERM]


@contextlib.asynccontextmanager
async def _running(
    settings: Settings,
    agent: Callable[[], Agent] | None,
    parts: Parts | None,
    now: Callable[[], Settings] | None,
) -> AsyncIterator[Sessions]:
    following = Following(settings, parts, now)
    watching = None
    try:
        models = await following.load()
        sessions = Sessions(
            settings,
            models,
            is_offline=following.is_offline,
            agent=agent,
            now=following.current,
        )
        watching = asyncio.create_task(following.watch(sessions), name="watch-models")
        yield sessions
    finally:
        if watching:
            watching.cancel()
            await asyncio.gather(watching, return_exceptions=True)
        await following.close()


def listen(settings: ServerSettings) -> socket.socket:
    """Take the server's address.

    Raises:
        SettingsError: It is taken, open to the network without a key, or the certificate is of no
            use.
    """
    require_keys(settings)
    require_certificate(settings)
    remedy = "set DUPLEX_SERVER__PORT to a free port, or to 0 for any"
    return listening_on(settings.host, settings.port, BACKLOG, remedy)


def require_certificate(settings: ServerSettings) -> None:
    """Make sure that https can be spoken, where it is wanted.

    Raises:
        SettingsError: Certificate and key cannot be read, or do not belong together.
    """
    if settings.certificate is None:
        return
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_cert_chain(
            settings.certificate, settings.key_file
        )
    except (OSError, ssl.SSLError) as error:
        raise SettingsError(
            f"server.certificate {settings.certificate} and server.key_file {settings.key_file} "
            f"cannot be used: {error}; both are PEM files, the key without a password"
        ) from error
