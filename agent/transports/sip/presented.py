"""How a user agent presents itself, and whom it listens to."""

import ssl
from dataclasses import dataclass
from pathlib import Path

PRIVATE_NETWORKS = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)


@dataclass(frozen=True, slots=True)
class UserAgentSettings:
    """How a user agent presents itself.

    Attributes:
        user: Our name in addresses.
        domain: Host of the exchange whose number we are; empty if there is none.
        password: For exchanges that ask for one; empty for none.
        advertised: Host that peers are told instead of the one listened on, behind a translator.
        rtp_ports: First and last port of audio; (0, 0) for any free one.
        accept_from: Networks whose messages are read; all others hear nothing at all.
        transfer_to: Where calls may be transferred to.
        recordings: Where calls are recorded; None forbids it.
        opus: Whether Opus is taken and offered, where there is a library for it.
        encrypts: Whether audio must be encrypted, in calls of ours and of others.
        tcp: Whether TCP is listened to beside UDP, on the same port.
        tls_port: Where TLS is listened to; 0 for any free one.
        certificate: Who we are to those who call over TLS; None for no TLS.
        trust: Whose certificates we believe when we call over TLS; None for the system's choice.
    """

    user: str = "duplex"
    domain: str = ""
    password: str = ""
    advertised: str = ""
    rtp_ports: tuple[int, int] = (0, 0)
    accept_from: tuple[str, ...] = PRIVATE_NETWORKS
    transfer_to: frozenset[str] = frozenset()
    recordings: Path | None = None
    opus: bool = True
    encrypts: bool = False
    tcp: bool = False
    tls_port: int = 0
    certificate: ssl.SSLContext | None = None
    trust: ssl.SSLContext | None = None
