"""Session descriptions: what audio goes where (RFC 8866), and agreeing on it (RFC 3264). Pure."""

import ipaddress
from dataclasses import dataclass, field, replace
from enum import StrEnum

from agent.transports.sip import codecs, sdes
from agent.transports.sip.addresses import Address
from agent.transports.sip.codecs import CLOCK_RATES, G711, OpusTerms
from agent.transports.sip.comfort import PAYLOAD_TYPE
from agent.transports.sip.sdes import Crypto, Security

PLAIN = Security()

_LONGEST = 16_384
_MOST_FORMATS = 64


class Direction(StrEnum):
    """Who sends, seen from the side that says it."""

    BOTH = "sendrecv"
    SEND = "sendonly"
    RECEIVE = "recvonly"
    NONE = "inactive"

    @property
    def mirrored(self) -> "Direction":
        """The same, seen from the other side."""
        swapped = {Direction.SEND: Direction.RECEIVE, Direction.RECEIVE: Direction.SEND}
        return swapped.get(self, self)


class UnusableError(ValueError):
    """A description we cannot agree to; says why, for the Warning header."""


@dataclass(slots=True)
class Medium:
    """One m= line with what belongs to it.

    Attributes:
        kind: audio, video, ...
        port: 0 if it is refused.
        profile: Such as RTP/AVP.
        formats: Payload types, best first, as written.
        host: Of its own c= line or that of the session.
        names: Codec and clock rate by payload type, upper case, such as PCMU/8000.
        parameters: What more is said of a codec, by payload type.
        direction: Who sends.
        crypto: The first way of encryption that we know.
    """

    kind: str
    port: int
    profile: str
    formats: list[str]
    host: str = ""
    names: dict[str, str] = field(default_factory=dict)
    parameters: dict[str, str] = field(default_factory=dict)
    direction: Direction = Direction.BOTH
    crypto: Crypto | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What two descriptions have in common.

    Attributes:
        remote: Where our audio goes.
        codec: PCMU, PCMA or OPUS.
        payload_type: Of the codec.
        event_type: Payload type of pressed keys; None if the peer knows none.
        direction: Who sends, seen from us.
        has_noise: Whether the peer describes its silence (RFC 3389).
        crypto: How the peer encrypts; None for plain audio.
        terms: What the peer wants to receive, where it is Opus.
        event_rate: Clock of pressed keys, in Hz.
    """

    remote: Address
    codec: str
    payload_type: int
    event_type: int | None
    direction: Direction
    has_noise: bool = False
    crypto: Crypto | None = None
    terms: OpusTerms = field(default_factory=OpusTerms)
    event_rate: int = 8_000

    @property
    def clock_rate(self) -> int:
        """Ticks of the codec's RTP clock in a second."""
        return CLOCK_RATES[self.codec]

    @property
    def may_send(self) -> bool:
        """Whether the peer wants to hear us."""
        return self.direction in (Direction.BOTH, Direction.SEND)

    @property
    def may_receive(self) -> bool:
        """Whether what the peer sends is meant for us."""
        return self.direction in (Direction.BOTH, Direction.RECEIVE)


def parse(body: bytes) -> list[Medium]:
    """Read the media of a description. What makes no sense is passed over.

    Raises:
        UnusableError: It is too long.
    """
    if len(body) > _LONGEST:
        raise UnusableError(f"a description of {len(body)} bytes")
    media: list[Medium] = []
    host, direction = "", Direction.BOTH
    for line in body.decode("utf-8", "replace").splitlines():
        kind, _, value = line.partition("=")
        kind, value = kind.strip(), value.strip()
        if kind == "m":
            if medium := _medium(value, host, direction):
                media.append(medium)
        elif kind == "c":
            if media:
                media[-1].host = _connection(value)
            else:
                host = _connection(value)
        elif kind == "a" and value in {item.value for item in Direction}:
            if media:
                media[-1].direction = Direction(value)
            else:
                direction = Direction(value)
        elif kind == "a" and value.lower().startswith("crypto:") and media:
            media[-1].crypto = media[-1].crypto or sdes.parse(value[7:])
        elif kind == "a" and value.lower().startswith("rtpmap:") and media:
            _note(media[-1], media[-1].names, value[7:].upper())
        elif kind == "a" and value.lower().startswith("fmtp:") and media:
            _note(media[-1], media[-1].parameters, value[5:])
    return media


def agree(
    media: list[Medium],
    *,
    ours: Direction = Direction.BOTH,
    security: Security = PLAIN,
    usable: tuple[str, ...] = G711,
) -> Agreement:
    """Find the audio both sides can have.

    Args:
        media: What the peer describes.
        ours: What we want.
        security: Whether we can, or want to, encrypt.
        usable: Codecs we have.

    Raises:
        UnusableError: There is nothing in common.
    """
    medium = _audio(media, security)
    chosen = codecs.named(medium.formats, medium.names, medium.parameters, usable)
    if chosen is None:
        raise UnusableError(f"none of {', '.join(usable)} among the codecs offered")
    if not 0 < medium.port < 65536:
        raise UnusableError("audio is refused")
    direction = medium.direction.mirrored
    if _is_nowhere(medium.host):
        # How telephones of before RFC 3264 put a call on hold.
        direction = Direction.NONE if direction is Direction.NONE else Direction.RECEIVE
    event_type, event_rate = codecs.event_type(medium.names, CLOCK_RATES[chosen.codec])
    return Agreement(
        remote=(_address(medium.host), medium.port),
        codec=chosen.codec,
        payload_type=chosen.payload_type,
        event_type=event_type,
        direction=_both(direction, ours),
        # Opus has silence of its own.
        has_noise=chosen.codec in G711 and str(PAYLOAD_TYPE) in medium.formats,
        crypto=medium.crypto if _is_secure(medium) else None,
        terms=chosen.terms,
        event_rate=event_rate,
    )


def answer(
    media: list[Medium],
    agreement: Agreement,
    local: Address,
    version: int,
    security: Security = PLAIN,
) -> bytes:
    """Write the answer to an offer: the audio agreed on, everything else refused.

    Args:
        media: The offer's.
        agreement: Found in it.
        local: Where we receive.
        version: Counts our descriptions of this call.
        security: As for `agree`.
    """
    lines = _session(local, version)
    accepted = _audio(media, security)
    for medium in media:
        if medium is accepted:
            lines += _our_audio(agreement, local[1], medium.profile)
            if agreement.crypto:
                lines.append(sdes.write(agreement.crypto.tag, security.key))
        else:
            lines.append(f"m={medium.kind} 0 {medium.profile} {' '.join(medium.formats)}")
    return _text(lines)


def offer(
    local: Address,
    version: int,
    *,
    direction: Direction = Direction.BOTH,
    usable: tuple[str, ...] = G711,
    key: bytes = b"",
) -> bytes:
    """Write an offer of our own.

    Args:
        local: Where we receive.
        version: Counts our descriptions of this call.
        direction: Who is to send, seen from us.
        usable: Codecs we have, or of them the one that was agreed on.
        key: Ours, for encrypted audio; empty for plain audio.
    """
    types, described = codecs.offered(usable)
    lines = _session(local, version)
    profile = "RTP/SAVP" if key else "RTP/AVP"
    lines.append(f"m=audio {local[1]} {profile} {' '.join(map(str, types))}")
    if key:
        lines.append(sdes.write("1", key))
    return _text([*lines, *described, "a=ptime:20", f"a={direction}"])


def held(agreement: Agreement) -> Agreement:
    """The same agreement while nobody talks."""
    return replace(agreement, direction=Direction.NONE)


def _medium(value: str, host: str, direction: Direction) -> Medium | None:
    words = value.split()
    if len(words) < 4:
        return None
    port = words[1].partition("/")[0]
    if not (port.isascii() and port.isdecimal() and len(port) < 6):
        return None
    formats = words[3 : 3 + _MOST_FORMATS]
    return Medium(words[0].lower(), int(port), words[2], formats, host, direction=direction)


def _connection(value: str) -> str:
    words = value.split()
    return words[2].partition("/")[0] if len(words) == 3 else ""


def _note(medium: Medium, known: dict[str, str], value: str) -> None:
    number, _, said = value.strip().partition(" ")
    if number in medium.formats:
        known[number] = said.strip()


def _audio(media: list[Medium], security: Security) -> Medium:
    """The first audio that is as secret as we can have it, or must."""
    offered = [medium for medium in media if medium.kind == "audio" and medium.port]
    for medium in offered:
        is_plain = medium.profile.upper() in ("RTP/AVP", "RTP/AVPF")
        if (is_plain and not security.must) or (
            security.can and _is_secure(medium) and medium.crypto
        ):
            return medium
    if not offered:
        raise UnusableError("no audio offered")
    profile = offered[0].profile
    if _is_secure(offered[0]) and not security.can:
        raise UnusableError(f"audio over {profile} only; install the extra srtp")
    raise UnusableError(f"audio over {profile} only, or without {sdes.SUITE}")


def _is_secure(medium: Medium) -> bool:
    return medium.profile.upper() in ("RTP/SAVP", "RTP/SAVPF")


def _is_nowhere(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_unspecified
    except ValueError:
        return False


def _address(host: str) -> str:
    try:
        return str(ipaddress.ip_address(host))
    except ValueError:
        raise UnusableError("audio at a name instead of an address") from None


def _both(theirs: Direction, ours: Direction) -> Direction:
    """What is left when each side limits the other."""
    sends = theirs in (Direction.BOTH, Direction.SEND) and ours in (Direction.BOTH, Direction.SEND)
    hears = theirs in (Direction.BOTH, Direction.RECEIVE) and ours in (
        Direction.BOTH,
        Direction.RECEIVE,
    )
    if sends:
        return Direction.BOTH if hears else Direction.SEND
    return Direction.RECEIVE if hears else Direction.NONE


def _session(local: Address, version: int) -> list[str]:
    family = "IP6" if ":" in local[0] else "IP4"
    return [
        "v=0",
        f"o=duplex {local[1]} {version} IN {family} {local[0]}",
        "s=-",
        f"c=IN {family} {local[0]}",
        "t=0 0",
    ]


def _our_audio(agreement: Agreement, port: int, profile: str) -> list[str]:
    types = [agreement.payload_type]
    lines = codecs.describe(agreement.codec, agreement.payload_type)
    if agreement.event_type is not None:
        types.append(agreement.event_type)
        lines += codecs.describe_events(agreement.event_type, agreement.event_rate)
    if agreement.has_noise:
        types.append(PAYLOAD_TYPE)
        lines.append(f"a=rtpmap:{PAYLOAD_TYPE} CN/8000")
    head = f"m=audio {port} {profile} {' '.join(map(str, types))}"
    return [head, *lines, "a=ptime:20", f"a={agreement.direction}"]


def _text(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode()
