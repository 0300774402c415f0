"""Ports for programs of others, which cannot be told to take any."""

import contextlib
import random
import socket


def free_port() -> int:
    """A port that is free over UDP and TCP, and below those that the system gives to others."""
    while True:
        port = random.randrange(20_000, 32_000)
        with (
            socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as packets,
            socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connections,
            contextlib.suppress(OSError),
        ):
            packets.bind(("127.0.0.1", port))
            connections.bind(("127.0.0.1", port))
            return port
