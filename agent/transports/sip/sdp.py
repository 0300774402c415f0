"""Session descriptions: what audio goes where (RFC 8866), and agreeing on it (RFC 3264). Pure."""

import ipaddress
from dataclasses import dataclass, field, replace
from enum import StrEnum

from agent.transports.sip import sdes
from agent.transports.sip.addresses import Address
from agent.transports.sip.comfort import PAYLOAD_TYPE
from agent.transports.sip.sdes import Crypto, Security

TELEPHONE_EVENT = "telephone-event"
OUR_EVENT_TYPE = 101
STATIC = {0: "PCMU", 8: "PCMA"}
"""Payload types whose meaning needs no saying."""

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
        direction: Who sends.
        crypto: The first way of encryption that we know.
    """

    kind: str
    port: int
    profile: str
    formats: list[str]
    host: str = ""
    names: dict[str, str] = field(default_factory=dict)
    direction: Direction = Direction.BOTH
    crypto: Crypto | None = None


@dataclass(frozen=True, slots=True)
class Agreement:
    """What two descriptions have in common.

    Attributes:
        remote: Where our audio goes.
        codec: PCMU or PCMA.
        payload_type: Of the codec.
        event_type: Payload type of pressed keys; None if the peer knows none.
        direction: Who sends, seen from us.
        has_noise: Whether the peer describes its silence (RFC 3389).
        crypto: How the peer encrypts; None for plain audio.
    """

    remote: Address
    codec: str
    payload_type: int
    event_type: int | None
    direction: Direction
    has_noise: bool = False
    crypto: Crypto | None = None

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
            _add_name(media[-1], value[7:])
    return media


def agree(
    media: list[Medium], *, ours: Direction = Direction.BOTH, security: Security = PLAIN
) -> Agreement:
    """Find the audio both sides can have.

    Args:
        media: What the peer describes.
        ours: What we want.
        security: Whether we can, or want to, encrypt.

    Raises:
        UnusableError: There is nothing in common.
    """
    medium = _audio(media, security)
    codec = next((name for name in medium.formats if _codec(medium, name)), None)
    if codec is None:
        raise UnusableError("no G.711 among the codecs offered")
    if not 0 < medium.port < 65536:
        raise UnusableError("audio is refused")
    direction = medium.direction.mirrored
    if _is_nowhere(medium.host):
        # How telephones of before RFC 3264 put a call on hold.
        direction = Direction.NONE if direction is Direction.NONE else Direction.RECEIVE
    return Agreement(
        remote=(_address(medium.host), medium.port),
        codec=_codec(medium, codec),
        payload_type=int(codec),
        event_type=_event_type(medium),
        direction=_both(direction, ours),
        has_noise=str(PAYLOAD_TYPE) in medium.formats,
        crypto=medium.crypto if _is_secure(medium) else None,
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
    codecs: str = "both",
    key: bytes = b"",
) -> bytes:
    """Write an offer of our own.

    Args:
        local: Where we receive.
        version: Counts our descriptions of this call.
        direction: Who is to send, seen from us.
        codecs: PCMU or PCMA alone, once one was agreed on; both at the start.
        key: Ours, for encrypted audio; empty for plain audio.
    """
    types = [t for t, name in STATIC.items() if codecs in ("both", name)]
    lines = _session(local, version)
    profile = "RTP/SAVP" if key else "RTP/AVP"
    lines.append(f"m=audio {local[1]} {profile} {' '.join(map(str, types))} {OUR_EVENT_TYPE}")
    if key:
        lines.append(sdes.write("1", key))
    lines += [f"a=rtpmap:{t} {STATIC[t]}/8000" for t in types]
    lines += [*_events(OUR_EVENT_TYPE), "a=ptime:20", f"a={direction}"]
    return _text(lines)


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


def _add_name(medium: Medium, value: str) -> None:
    number, _, name = value.strip().partition(" ")
    if number in medium.formats:
        medium.names[number] = name.strip().upper()


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


def _codec(medium: Medium, number: str) -> str:
    """PCMU or PCMA, or empty."""
    if not (number.isascii() and number.isdecimal() and int(number[:4]) < 128):
        return ""
    name = medium.names.get(number, f"{STATIC.get(int(number), '')}/8000")
    codec, _, rate = name.partition("/")
    return codec if codec in STATIC.values() and rate in ("8000", "8000/1") else ""


def _event_type(medium: Medium) -> int | None:
    for number, name in medium.names.items():
        is_number = number.isascii() and number.isdecimal() and int(number[:4]) < 128
        if is_number and name.startswith(f"{TELEPHONE_EVENT.upper()}/8000"):
            return int(number)
    return None


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
    lines = [f"a=rtpmap:{agreement.payload_type} {agreement.codec}/8000"]
    if agreement.event_type is not None:
        types.append(agreement.event_type)
        lines += _events(agreement.event_type)
    if agreement.has_noise:
        types.append(PAYLOAD_TYPE)
        lines.append(f"a=rtpmap:{PAYLOAD_TYPE} CN/8000")
    head = f"m=audio {port} {profile} {' '.join(map(str, types))}"
    return [head, *lines, "a=ptime:20", f"a={agreement.direction}"]


def _events(number: int) -> list[str]:
    return [f"a=rtpmap:{number} {TELEPHONE_EVENT}/8000", f"a=fmtp:{number} 0-15"]


def _text(lines: list[str]) -> bytes:
    return ("\r\n".join(lines) + "\r\n").encode()
