"""From what a person writes to where a packet goes, and from which of our addresses."""

import asyncio
import socket

from agent.errors import RetryError, SettingsError
from agent.transports.sip.addresses import Hop, parse_uri
from agent.transports.sip.message import MalformedError


def address_of_record(to: str, registrar: str | None) -> str:
    """The URI of somebody: as it stands, or as a number of our exchange.

    Args:
        to: A SIP URI, user@host, or a number.
        registrar: The exchange's URI; None if there is none.

    Raises:
        SettingsError: It is a number and there is no exchange, or makes no sense.
    """
    uri = to if to.startswith(("sip:", "sips:")) else f"sip:{to}"
    if "@" not in uri and uri != to:
        if registrar is None:
            raise SettingsError(
                f"{to!r} is a number, and sip.registrar does not say whose; set it, or call a SIP "
                "address such as sip:anna@192.168.1.20"
            )
        host = registrar.partition(":")[2]
        uri = f"sip:{to.replace(' ', '')}@{host}"
    try:
        parse_uri(uri)
    except MalformedError as error:
        raise SettingsError(f"{to!r} is no SIP address: {error}") from error
    return uri


async def find(uri: str, family: socket.AddressFamily = socket.AF_UNSPEC) -> Hop:
    """Where requests to `uri` go. SRV records are not looked up.

    Raises:
        RetryError: Its host is unknown.
    """
    try:
        parsed = parse_uri(uri)
        host, port = parsed.address
        found = await asyncio.get_running_loop().getaddrinfo(
            host, port, family=family, type=socket.SOCK_DGRAM
        )
    except (MalformedError, OSError) as error:
        raise RetryError(f"cannot find {uri}: {error}") from error
    address = found[0][4]
    return Hop(str(address[0]), int(address[1]), parsed.protocol)


def local_host(peer: str) -> str:
    """The address of ours from which `peer`, an address, is reached."""
    family = socket.AF_INET6 if ":" in peer else socket.AF_INET
    with socket.socket(family, socket.SOCK_DGRAM) as probe:
        # Sends nothing; the system only chooses the interface.
        probe.connect((peer, 9))
        host: str = probe.getsockname()[0]
        return host
