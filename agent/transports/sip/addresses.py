"""URIs, name-addresses and Via headers of SIP. Pure."""

from dataclasses import dataclass, field
from typing import NamedTuple

from agent.transports.sip.message import MalformedError

Address = tuple[str, int]
"""Host and UDP port."""

DEFAULT_PORT = 5060
DEFAULT_TLS_PORT = 5061


class Hop(NamedTuple):
    """Where a message goes next, or came from: an address, not a name, and how to speak to it."""

    host: str
    port: int
    protocol: str = "UDP"


@dataclass(frozen=True, slots=True)
class Uri:
    """A sip or sips URI.

    Attributes:
        user: Before the @; empty if there is none.
        host: Name or address, IPv6 without brackets.
        port: None if it is not said.
        parameters: By lower-case name; without a value it is empty.
        is_secure: Whether it is a sips URI, reached over TLS only.
    """

    user: str
    host: str
    port: int | None = None
    parameters: dict[str, str] = field(default_factory=dict)
    is_secure: bool = False

    @property
    def address(self) -> Address:
        """Where it is to be reached, as far as it says so itself."""
        default = DEFAULT_TLS_PORT if self.protocol == "TLS" else DEFAULT_PORT
        return self.host, self.port or default

    @property
    def protocol(self) -> str:
        """How it is to be spoken to: UDP, TCP or TLS."""
        if self.is_secure:
            return "TLS"
        wanted = self.parameters.get("transport", "udp").upper()
        return wanted if wanted in ("TCP", "TLS") else "UDP"


@dataclass(frozen=True, slots=True)
class NameAddress:
    """What From, To and Contact hold.

    Attributes:
        name: For people; may be empty.
        uri: As it stands, since it is to be repeated unchanged.
        parameters: Of the header, not of the URI: `tag` above all.
    """

    name: str
    uri: str
    parameters: dict[str, str]

    @property
    def tag(self) -> str:
        """One party's half of a dialog's identity; may be empty."""
        return self.parameters.get("tag", "")


@dataclass(frozen=True, slots=True)
class Via:
    """Topmost Via: where a response goes.

    Attributes:
        transport: UDP, TCP, ...
        host: Whom the sender takes itself for.
        port: None if it is not said.
        parameters: `branch` above all.
    """

    transport: str
    host: str
    port: int | None
    parameters: dict[str, str]

    @property
    def branch(self) -> str:
        """Identifies the transaction; may be empty."""
        return self.parameters.get("branch", "")


def parse_uri(text: str) -> Uri:
    """Read a sip: or sips: URI; tel: gives its number without a host.

    Raises:
        MalformedError: It is another kind, or none.
    """
    scheme, colon, rest = text.strip().partition(":")
    if scheme.lower() == "tel" and rest:
        return Uri(rest.partition(";")[0], "")
    if not colon or scheme.lower() not in ("sip", "sips"):
        raise MalformedError(f"not a SIP URI: {text[:60]!r}")
    rest = rest.partition("?")[0]
    user, _, rest = rest.rpartition("@") if "@" in rest else ("", "", rest)
    place, _, parameters = rest.partition(";")
    host, port = _host_port(place)
    secure = scheme.lower() == "sips"
    return Uri(user.partition(":")[0], host, port, _parameters(parameters), secure)


def parse_name_address(text: str) -> NameAddress:
    """Read `"Name" <sip:user@host>;tag=x` or `sip:user@host;tag=x`.

    Raises:
        MalformedError: A bracket or quote is left open, or nothing is there.
    """
    text = text.strip()
    name, rest = _quoted(text) if text.startswith('"') else ("", text)
    before, bracket, inside = rest.partition("<")
    if bracket:
        uri, closed, behind = inside.partition(">")
        if not closed:
            raise MalformedError("an open angle bracket")
        name = name or before.strip()
        parameters = behind.partition(";")[2]
    else:
        uri, _, parameters = rest.partition(";")
    if not uri.strip():
        raise MalformedError("an address without a URI")
    return NameAddress(name, uri.strip(), _parameters(parameters))


def parse_via(text: str) -> Via:
    """Read `SIP/2.0/UDP host:port;branch=...`.

    Raises:
        MalformedError: It is no such thing.
    """
    sent, _, parameters = text.partition(";")
    words = sent.replace("/ ", "/").replace(" /", "/").split()
    if len(words) != 2 or words[0].count("/") != 2:
        raise MalformedError("a Via without protocol and sender")
    host, port = _host_port(words[1])
    return Via(words[0].rpartition("/")[2].upper(), host, port, _parameters(parameters))


def host_port(address: Address | Hop) -> str:
    """Write an address as in a Via or a URI."""
    host, port = address[:2]
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _quoted(text: str) -> tuple[str, str]:
    """Take a quoted string from the front; return it without quotes, and the rest."""
    name: list[str] = []
    i = 1
    while i < len(text):
        if text[i] == '"':
            return "".join(name), text[i + 1 :]
        if text[i] == "\\":
            i += 1
        name.append(text[i : i + 1])
        i += 1
    raise MalformedError("an open quote")


def _host_port(text: str) -> tuple[str, int | None]:
    text = text.strip()
    if text.startswith("["):
        host, closed, rest = text[1:].partition("]")
        if not closed or (rest and not rest.startswith(":")):
            raise MalformedError("an open bracket around an address")
        port = rest[1:]
    else:
        host, _, port = text.partition(":")
    if not host or any(sign.isspace() or sign in "<>@" for sign in host):
        raise MalformedError("no host")
    port = port.strip()
    if not port:
        return host, None
    if not (port.isascii() and port.isdecimal() and int(port[:9]) < 65536):
        raise MalformedError("port is not a number below 65536")
    return host, int(port)


def _parameters(text: str) -> dict[str, str]:
    pairs = (part.partition("=") for part in text.split(";") if part.strip())
    return {name.strip().lower(): value.strip().strip('"') for name, _, value in pairs}


def party(value: str) -> str:
    """User or number of a From or To, else its host."""
    try:
        uri = parse_uri(parse_name_address(value).uri)
    except MalformedError:
        return value
    return uri.user or uri.host
