"""Put on a process's PYTHONPATH: notes every attempt to reach beyond this machine.

The process may well survive such an attempt; the note does not lie.
"""

import ipaddress
import os
import sys
from pathlib import Path

_LOG = os.environ.get("DUPLEX_TEST_CONNECTIONS")


def _is_local(host: object) -> bool:
    if host in (None, "", "localhost", b"localhost"):
        return True
    try:
        address = ipaddress.ip_address(str(host).split("%")[0])
    except ValueError:
        return False
    return address.is_loopback or address.is_unspecified


def _watch(event: str, arguments: tuple) -> None:
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if not _is_local(host):
        with Path(_LOG).open("a", encoding="utf-8") as log:
            log.write(f"{event} {host!r}\n")


if _LOG:
    sys.addaudithook(_watch)
