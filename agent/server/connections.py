"""What a connection may do before a route sees it: come, be slow, be big.

uvicorn waits for ever for a request that never ends, and takes as many connections as there are
file descriptors. A flood costs the least when it is shed as the connection is made: a tenth of
what reading its request costs. Callers who talk are not touched, they are connected already.
"""

import asyncio
from typing import Any

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

from agent.server.rates import Rates
from agent.settings import ServerSettings

BACKLOG = 32
"""Connections taken in one go: more would hold up the audio of those who talk. The kernel makes
the others wait, and lets them try again."""

MAX_MESSAGE = 4 << 20
"""Bytes of one WebSocket message: clients of the Realtime protocol may send a minute of audio in
one event."""

_REQUEST_S = 10.0
"""For a request to arrive, body and all."""

_ANYBODY = ""


def guarded(settings: ServerSettings) -> type[asyncio.Protocol]:
    """The protocol of one connection, with the limits of `settings`."""
    rates = Rates(settings.connects_per_s, 2 * settings.connects_per_s)

    class Guarded(H11Protocol):
        """Closes what comes too often, is too many, or never says what it wants."""

        _is_shed = False
        _deadline: asyncio.TimerHandle | None = None

        def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
            too_many = len(self.connections) >= settings.max_connections
            if too_many or rates.wait_s(_ANYBODY, self.loop.time()):
                self._is_shed = True
                transport.abort()
                return
            super().connection_made(transport)
            self._expect_request()

        def data_received(self, data: bytes) -> None:
            if not self._is_shed:
                super().data_received(data)

        def handle_events(self) -> None:
            super().handle_events()
            # Its body too: a route must not wait for one that never ends.
            if self.headers is not None and self.cycle and not self.cycle.more_body:
                self._cancel()

        def handle_websocket_upgrade(self, event: h11.Request) -> None:
            self._cancel()
            super().handle_websocket_upgrade(event)

        def on_response_complete(self) -> None:
            self.headers = None  # type: ignore[assignment]
            super().on_response_complete()
            if not self.transport.is_closing() and self.headers is None:
                self._expect_request()

        def connection_lost(self, exc: Exception | None) -> None:
            self._cancel()
            if not self._is_shed:
                super().connection_lost(exc)

        def _expect_request(self) -> None:
            self._cancel()
            self._deadline = self.loop.call_later(_REQUEST_S, self.transport.abort)

        def _cancel(self) -> None:
            if self._deadline:
                self._deadline.cancel()
                self._deadline = None

    return Guarded


def options(settings: ServerSettings) -> dict[str, Any]:
    """Settings of uvicorn's."""
    return {
        "http": guarded(settings),
        "backlog": BACKLOG,
        "ws_max_size": MAX_MESSAGE,
        # Speech does not get smaller, and the compressor takes memory for every caller.
        "ws_per_message_deflate": False,
        "proxy_headers": bool(settings.trusted_proxies),
        "forwarded_allow_ips": list(settings.trusted_proxies),
        "ssl_certfile": settings.certificate,
        "ssl_keyfile": settings.key_file,
        "server_header": False,
        # Garbage is warned of line by line: a flood must not fill the disk.
        "log_config": None,
        "log_level": "error",
    }
