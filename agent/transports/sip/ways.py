"""How a user agent and its peers reach each other: from which address, to which, and whether."""

import ipaddress
import socket

from agent.transports.sip.addresses import Hop, host_port, parse_uri
from agent.transports.sip.dialog import Dialog
from agent.transports.sip.message import MalformedError
from agent.transports.sip.presented import UserAgentSettings
from agent.transports.sip.resolve import find, local_host
from agent.transports.sip.sockets import Sockets


class Ways:
    """Ways between us and a peer.

    Args:
        settings: How we present ourselves.
        sockets: Where we listen and connect.
    """

    def __init__(self, settings: UserAgentSettings, sockets: Sockets) -> None:
        self._settings = settings
        self._sockets = sockets
        self._networks = [ipaddress.ip_network(text) for text in settings.accept_from]

    def is_welcome(self, host: str) -> bool:
        """Whether messages from there are read."""
        address = ipaddress.ip_address(host.partition("%")[0])
        return any(
            address in network for network in self._networks if network.version == address.version
        )

    def contact(self, peer: Hop) -> str:
        """Our URI, as a peer reaches us."""
        protocol = "" if peer.protocol == "UDP" else f";transport={peer.protocol.lower()}"
        return f"sip:{self._settings.user}@{host_port(self.sent_by(peer))}{protocol}"

    def sent_by(self, peer: Hop) -> Hop:
        """Our address, as a peer reaches it."""
        port = self._sockets.port_for(peer.protocol)
        return Hop(self.host_towards(peer), port, peer.protocol)

    def host_towards(self, peer: Hop) -> str:
        """Our host, as a peer reaches it."""
        if self._settings.advertised:
            return self._settings.advertised
        host = self._sockets.bound[0]
        return host if not ipaddress.ip_address(host).is_unspecified else local_host(peer.host)

    def hop_of(self, dialog: Dialog, otherwise: Hop) -> Hop:
        """Where requests of a dialog go; `otherwise` where its signalling came from."""
        if otherwise.protocol != "UDP":
            return otherwise  # The connection that is there.
        try:
            hop = dialog.next_hop()
            ipaddress.ip_address(hop.host)
        except (MalformedError, ValueError):
            # A name: the peer is where its signalling came from.
            return otherwise
        return hop._replace(protocol="UDP")

    async def reach(self, uri: str) -> Hop:
        """Find who is called, and connect if that is how they are spoken to.

        Raises:
            RetryError: There is no way there.
        """
        family = socket.AF_INET6 if ":" in self._sockets.bound[0] else socket.AF_INET
        hop = await find(uri, family)
        await self._sockets.reach(hop, parse_uri(uri).host)
        return hop
