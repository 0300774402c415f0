"""SIP messages: bytes to values and back (RFC 3261 section 7). Pure."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

_VERSION = "SIP/2.0"
_MOST_HEADERS = 200
_LONGEST = 65_535

_COMPACT = {
    "v": "Via",
    "f": "From",
    "t": "To",
    "i": "Call-ID",
    "m": "Contact",
    "l": "Content-Length",
    "c": "Content-Type",
    "e": "Content-Encoding",
    "k": "Supported",
    "s": "Subject",
    "r": "Refer-To",
    "b": "Referred-By",
    "o": "Event",
    "u": "Allow-Events",
    "x": "Session-Expires",
}

_LISTS = frozenset({"via", "route", "record-route", "contact"})
"""Headers whose comma-separated values are worth having one by one."""

_REQUIRED = ("via", "from", "to", "call-id", "cseq")


class MalformedError(ValueError):
    """Bytes that are not a SIP message; says what is wrong with them."""


class Headers:
    """An ordered multimap with names of any case."""

    def __init__(self, items: Iterable[tuple[str, str]] = ()) -> None:
        self._items: list[tuple[str, str]] = []
        for name, value in items:
            self.add(name, value)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self._items)

    def get(self, name: str) -> str | None:
        """First value, or None."""
        wanted = name.lower()
        return next((value for known, value in self._items if known.lower() == wanted), None)

    def all(self, name: str) -> list[str]:
        """Every value, in order; lists of addresses one by one."""
        wanted = name.lower()
        values = [value for known, value in self._items if known.lower() == wanted]
        if wanted not in _LISTS:
            return values
        return [part for value in values for part in _split(value)]

    def add(self, name: str, value: str) -> None:
        """Append a value.

        Raises:
            ValueError: It holds a line break, which would smuggle in another header.
        """
        if any(sign in name + value for sign in "\r\n\0"):
            raise ValueError(f"a {name} header must not hold a line break")
        self._items.append((name, value))

    def put_first(self, name: str, value: str) -> None:
        """Replace the first of a list of values, as a Via of which it is the topmost."""
        values = self.all(name)
        self._items = [item for item in self._items if item[0].lower() != name.lower()]
        self._items[:0] = [(name, value), *((name, other) for other in values[1:])]


@dataclass(slots=True)
class Request:
    """A request.

    Attributes:
        method: Upper case, such as INVITE.
        uri: Whom it asks.
        headers: All but Content-Length, which is written when sending.
        body: Often a session description.
    """

    method: str
    uri: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def __bytes__(self) -> bytes:
        return _written(f"{self.method} {self.uri} {_VERSION}", self.headers, self.body)


@dataclass(slots=True)
class Response:
    """A response.

    Attributes:
        status: 100 to 699.
        reason: For people.
        headers: All but Content-Length.
        body: Often a session description.
    """

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def __bytes__(self) -> bytes:
        return _written(f"{_VERSION} {self.status} {self.reason}", self.headers, self.body)


Message = Request | Response


def parse(datagram: bytes) -> Message:
    """Read a message.

    Args:
        datagram: One UDP datagram.

    Raises:
        MalformedError: It is not a SIP message, or lacks what every one must have.
    """
    if len(datagram) > _LONGEST:
        raise MalformedError(f"{len(datagram)} bytes")
    head, body = _halves(datagram.lstrip(b"\r\n"))
    text = head.decode("utf-8", "replace").replace("\0", "\N{REPLACEMENT CHARACTER}")
    lines = text.replace("\r\n", "\n").replace("\r", "\n").split("\n")
    if not lines[0]:
        raise MalformedError("empty")
    headers = Headers(_header_lines(lines[1:]))
    missing = [name for name in _REQUIRED if not any(headers.all(name))]
    if missing:
        raise MalformedError(f"no {missing[0]} header")
    message = _first_line(lines[0], headers)
    message.body = _body(headers, body)
    return message


def describe(message: Request | Response, body: bytes) -> None:
    """Let a message carry a session description."""
    message.headers.add("Content-Type", "application/sdp")
    message.body = body


def cseq(message: Message) -> tuple[int, str]:
    """Number and method of a CSeq header.

    Raises:
        MalformedError: It holds something else.
    """
    number, _, method = (message.headers.get("CSeq") or "").strip().partition(" ")
    if not (number.isascii() and number.isdecimal() and len(number) <= 10 and method.strip()):
        raise MalformedError("CSeq is not a number and a method")
    return int(number), method.strip().upper()


def _halves(datagram: bytes) -> tuple[bytes, bytes]:
    for gap in (b"\r\n\r\n", b"\n\n"):
        head, found, body = datagram.partition(gap)
        if found:
            return head, body
    return datagram, b""


def _first_line(line: str, headers: Headers) -> Message:
    words = line.split(" ", 2)
    if len(words) < 2:
        raise MalformedError("no request or status line")
    if words[0].upper() == _VERSION:
        if not (words[1].isascii() and words[1].isdecimal() and 100 <= int(words[1][:9]) <= 699):
            raise MalformedError(f"status {words[1][:20]!r}")
        return Response(int(words[1]), words[2] if len(words) > 2 else "", headers)
    if len(words) != 3 or words[2].strip().upper() != _VERSION or not words[1]:
        raise MalformedError("no SIP/2.0 request line")
    if not words[0].isascii() or not words[0].replace("-", "").isalnum():
        raise MalformedError("strange method")
    return Request(words[0].upper(), words[1], headers)


def _header_lines(lines: list[str]) -> Iterator[tuple[str, str]]:
    unfolded: list[str] = []
    for line in lines[:_MOST_HEADERS]:
        if line[:1] in (" ", "\t") and unfolded:
            unfolded[-1] += " " + line.strip()
        else:
            unfolded.append(line)
    for line in filter(None, unfolded):
        name, colon, value = line.partition(":")
        name = name.strip()
        if not colon or not name or " " in name:
            raise MalformedError("a header line without a name")
        yield _COMPACT.get(name.lower(), name), value.strip()


def _body(headers: Headers, body: bytes) -> bytes:
    declared = headers.get("Content-Length")
    if declared is None:
        return body
    if not (declared.isascii() and declared.isdecimal() and len(declared) < 7):
        raise MalformedError("Content-Length is not a number")
    if int(declared) > len(body):
        raise MalformedError(f"{len(body)} bytes of a body of {int(declared)}")
    return body[: int(declared)]


def _written(first: str, headers: Headers, body: bytes) -> bytes:
    kept = (item for item in headers if item[0].lower() != "content-length")
    lines = [first, *(f"{name}: {value}" for name, value in kept), f"Content-Length: {len(body)}"]
    return "\r\n".join(lines).encode("utf-8", "replace") + b"\r\n\r\n" + body


def _split(value: str) -> list[str]:
    """Split at commas outside quotes and angle brackets."""
    parts, start, is_quoted, depth = [], 0, False, 0
    escaped = False
    for i, sign in enumerate(value):
        if escaped:
            escaped = False
        elif sign == "\\" and is_quoted:
            escaped = True
        elif sign == '"':
            is_quoted = not is_quoted
        elif is_quoted:
            continue
        elif sign == "<":
            depth += 1
        elif sign == ">":
            depth -= 1
        elif sign == "," and depth <= 0:
            parts.append(value[start:i])
            start = i + 1
    parts.append(value[start:])
    return [part.strip() for part in parts if part.strip()]
