"""The socket that a server listens on."""

import socket

from agent.errors import SettingsError


def listening_on(host: str, port: int, backlog: int, remedy: str) -> socket.socket:
    """Take an address.

    Args:
        host: An address of this machine, IPv4 or IPv6, or a name.
        port: 0 for any that is free.
        backlog: Connections that may wait to be accepted.
        remedy: What to do if it is taken, for the message.

    Raises:
        SettingsError: It is taken, not this machine's, or needs rights that are not there.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # Named, or asyncio does not know it for TCP and leaves Nagle's algorithm on: 40 ms a packet.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror}; {remedy}"
        ) from error
    listener.listen(backlog)
    return listener
