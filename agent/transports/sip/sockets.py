"""Where SIP comes in and goes out: a UDP port, and connections over TCP and TLS."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable, Coroutine
from typing import Any

from loguru import logger

from agent.errors import RetryError
from agent.transports.sip.addresses import Address, Hop, host_port
from agent.transports.sip.framing import Framer
from agent.transports.sip.message import MalformedError

_MOST_CONNECTIONS = 200
_CONNECT_S = 5.0
_IDLE_S = 900.0
"""A connection on which nothing came for so long is closed: its call has ended long ago, or was
never begun."""

Take = Callable[[bytes, Hop], None]


class Sockets(asyncio.DatagramProtocol):
    """One UDP port, with TCP and TLS beside it where they are wanted.

    Args:
        take: Told of every message, and whence.
        welcomes: Whether a host may connect.
        tls: To be a client over TLS; None for what the system trusts.
    """

    def __init__(
        self, take: Take, welcomes: Callable[[str], bool], tls: ssl.SSLContext | None = None
    ) -> None:
        self._take, self._welcomes = take, welcomes
        self._tls = tls
        self._datagrams: asyncio.DatagramTransport | None = None
        self._servers: list[asyncio.Server] = []
        self._writers: dict[Hop, asyncio.StreamWriter] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self.bound: Address = ("", 0)
        """Of the UDP port, and of TCP where it is wanted."""
        self.tls_port = 0
        """0 without TLS."""

    async def listen(
        self, host: str, port: int, *, tcp: bool, tls_port: int, certificate: ssl.SSLContext | None
    ) -> None:
        """Take the ports.

        Args:
            host: Of this machine.
            port: Of UDP and TCP; 0 for any free one.
            tcp: Whether TCP is wanted.
            tls_port: 0 for any free one.
            certificate: To be a server over TLS; None for no TLS.

        Raises:
            OSError: One is taken.
        """
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: self, local_addr=(host, port))
        if tcp:
            self._servers.append(
                await asyncio.start_server(self._accepted("TCP"), host, self.bound[1])
            )
        if certificate:
            server = await asyncio.start_server(
                self._accepted("TLS"), host, tls_port, ssl=certificate
            )
            self._servers.append(server)
            self.tls_port = server.sockets[0].getsockname()[1]

    def port_for(self, protocol: str) -> int:
        """Where a peer that speaks `protocol` reaches us."""
        return self.tls_port or self.bound[1] if protocol == "TLS" else self.bound[1]

    async def reach(self, hop: Hop, name: str) -> None:
        """Make sure that `hop` can be sent to.

        Args:
            hop: Where to.
            name: Its name, which a certificate must bear.

        Raises:
            RetryError: There is no connection to be had.
        """
        if hop.protocol == "UDP" or hop in self._writers:
            return
        context = (self._tls or ssl.create_default_context()) if hop.protocol == "TLS" else None
        try:
            async with asyncio.timeout(_CONNECT_S):
                reader, writer = await asyncio.open_connection(
                    hop.host, hop.port, ssl=context, server_hostname=name if context else None
                )
        except (OSError, TimeoutError) as error:
            raise RetryError(
                f"cannot connect to {host_port(hop)} over {hop.protocol}: {error}; "
                "check the address, and sip.authority for a certificate of your own"
            ) from error
        self._spawn(self._read(reader, writer, hop))
        self._writers[hop] = writer

    def send(self, data: bytes, to: Hop) -> None:
        """Send a message; into nothing if its connection is gone."""
        if to.protocol == "UDP":
            if self._datagrams:
                self._datagrams.sendto(data, (to.host, to.port))
        elif writer := self._writers.get(to):
            with contextlib.suppress(OSError):
                writer.write(data)

    async def close(self) -> None:
        """Give the ports back."""
        for server in self._servers:
            server.close()
        for writer in list(self._writers.values()):
            writer.close()
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._datagrams:
            self._datagrams.close()
            self._datagrams = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The UDP port is ours."""
        self._datagrams = transport  # type: ignore[assignment]
        host, port = transport.get_extra_info("sockname")[:2]
        self.bound = (host, port)

    def datagram_received(self, data: bytes, addr: Address) -> None:
        """Take whatever came."""
        self._take(data, Hop(addr[0], addr[1]))

    def error_received(self, exc: Exception) -> None:
        """A peer's port is closed; its transaction runs out."""

    def _accepted(
        self, protocol: str
    ) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], Coroutine[Any, Any, None]]:
        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            host, port = writer.get_extra_info("peername")[:2]
            if not self._welcomes(host) or len(self._writers) >= _MOST_CONNECTIONS:
                writer.close()
                return
            hop = Hop(host, port, protocol)
            self._writers[hop] = writer
            self._spawn(self._read(reader, writer, hop))

        return serve

    async def _read(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hop: Hop
    ) -> None:
        framer = Framer()
        try:
            while data := await asyncio.wait_for(reader.read(65_536), _IDLE_S):
                for message in framer.push(data):
                    self._take(message, hop)
                if framer.pings:
                    writer.write(b"\r\n" * framer.pings)
                    framer.pings = 0
        except MalformedError as error:
            logger.warning("closed a connection of {}: {}", hop.host, error)
        except (OSError, TimeoutError):
            pass  # The peer is gone; so is the way to it.
        finally:
            self._writers.pop(hop, None)
            writer.close()

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
