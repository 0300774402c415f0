"""Requests and responses over a network that loses them (RFC 3261 section 17, RFC 6026). Pure.

Time arrives as an argument, in seconds of any one clock. What is to be sent waits in `outgoing`;
`tick` repeats what was not answered and says what never was.
"""

from dataclasses import dataclass, field

from agent.transports.sip.addresses import DEFAULT_PORT, Hop, Via, parse_via
from agent.transports.sip.message import Headers, MalformedError, Request, Response, cseq

T1_S = 0.5
"""Estimated round trip, RFC 3261 17.1.1.1: the first repetition comes after it."""

T2_S = 4.0
"""Longest time between two repetitions."""

GIVE_UP_S = 64 * T1_S

_MOST_SERVER_TRANSACTIONS = 5_000
"""More at once is a flood: what is new is then dropped unread."""

Key = tuple[str, str, str]
"""Branch, sender and method."""


@dataclass(frozen=True, slots=True)
class Asked:
    """A request that was not seen before.

    Attributes:
        request: As it came.
        source: Where it came from.
        key: To respond to; an ACK has no response.
    """

    request: Request
    source: Hop
    key: Key


@dataclass(frozen=True, slots=True)
class Answered:
    """A response to a request of ours; a final one comes once."""

    response: Response
    key: Key


@dataclass(frozen=True, slots=True)
class GivenUp:
    """Nobody answered a request of ours, or acknowledged our answer to an INVITE."""

    key: Key


@dataclass(slots=True)
class _Server:
    reply_to: Hop
    dies_at: float
    response: bytes = b""
    is_final: bool = False
    repeat_at: float | None = None
    interval: float = T1_S


@dataclass(slots=True)
class _Client:
    request: Request
    to: Hop
    dies_at: float
    repeat_at: float | None
    interval: float = T1_S
    is_final: bool = False
    ack: bytes = b""
    ack_to: Hop | None = None


@dataclass(slots=True)
class TransactionLayer:
    """All transactions of one user agent. Pure."""

    outgoing: list[tuple[bytes, Hop]] = field(default_factory=list)
    _servers: dict[Key, _Server] = field(default_factory=dict)
    _clients: dict[Key, _Client] = field(default_factory=dict)

    def receive_request(self, request: Request, source: Hop, now: float) -> Asked | None:
        """Take a request.

        Returns:
            None if it was seen before; then the response to it is repeated.

        Raises:
            MalformedError: Its Via or CSeq make no sense.
        """
        via = parse_via(request.headers.all("Via")[0])
        number, method = cseq(request)
        if method != request.method:
            raise MalformedError(f"{request.method} with a CSeq of {method}")
        name = "INVITE" if method == "ACK" else method
        # Senders of before 2002 have no branch; their CSeq and Call-ID tell transactions apart.
        branch = via.branch or f"{number} {request.headers.get('Call-ID')}"
        key = (branch, f"{via.host}:{via.port} {source[0]}:{source[1]}", name)
        known = self._servers.get(key)
        if method == "ACK":
            return self._acknowledged(request, source, key, known)
        if known:
            if known.response:
                self.outgoing.append((known.response, known.reply_to))
            return None
        if len(self._servers) >= _MOST_SERVER_TRANSACTIONS:
            return None
        _stamp(request.headers, via, source)
        # An INVITE may ring for minutes; whoever answers it says when it dies.
        lifetime = GIVE_UP_S if method != "INVITE" else 10 * GIVE_UP_S
        self._servers[key] = _Server(_reply_to(via, source), now + lifetime)
        return Asked(request, source, key)

    def respond(self, key: Key, response: Response, now: float) -> None:
        """Send a response, and repeat it as often as the network may need.

        A final response to an INVITE is repeated until it is acknowledged, to others when the
        request comes again. After the first final response nothing else is sent.
        """
        server = self._servers.get(key)
        if server is None or server.is_final:
            return
        server.response = bytes(response)
        server.is_final = response.status >= 200
        self.outgoing.append((server.response, server.reply_to))
        if server.is_final:
            server.dies_at = now + GIVE_UP_S
            # A 2xx crosses proxies that may speak UDP beyond; all else is repeated for UDP alone.
            is_repeated = server.reply_to.protocol == "UDP" or response.status < 300
            if key[2] == "INVITE" and is_repeated:
                server.repeat_at = now + T1_S

    def settle(self, key: Key) -> None:
        """Stop repeating a 2xx to an INVITE: its ACK has come, by another branch as it must."""
        if server := self._servers.get(key):
            server.repeat_at = None

    def request(self, request: Request, to: Hop, now: float) -> Key:
        """Send a request, and repeat it until it is answered.

        Args:
            request: With our Via on top.
            to: Where.
            now: In seconds.

        Returns:
            Under which its responses come.
        """
        via = parse_via(request.headers.all("Via")[0])
        key = (via.branch, "", request.method)
        self._clients[key] = _Client(
            request, to, now + GIVE_UP_S, now + T1_S if to.protocol == "UDP" else None
        )
        self.outgoing.append((bytes(request), to))
        return key

    def receive_response(self, response: Response, now: float) -> Answered | None:
        """Take a response.

        Returns:
            None if it is a repetition or belongs to no request of ours.

        Raises:
            MalformedError: Its Via or CSeq make no sense.
        """
        key = (parse_via(response.headers.all("Via")[0]).branch, "", cseq(response)[1])
        client = self._clients.get(key)
        if client is None:
            return None
        is_invite = key[2] == "INVITE"
        if response.status < 200:
            if client.is_final:
                return None
            if is_invite:
                client.repeat_at = None
                client.dies_at = now + 10 * GIVE_UP_S
            else:
                client.interval = T2_S
            return Answered(response, key)
        if client.is_final:
            if client.ack:
                self.outgoing.append((client.ack, client.ack_to or client.to))
            return None
        client.is_final, client.repeat_at, client.dies_at = True, None, now + GIVE_UP_S
        if is_invite and response.status >= 300:
            client.ack = bytes(_ack_of_failure(client.request, response))
            self.outgoing.append((client.ack, client.to))
        return Answered(response, key)

    def acknowledge(self, key: Key, ack: bytes, to: Hop) -> None:
        """Send the ACK of a 2xx to an INVITE, and again whenever the 2xx is repeated.

        Args:
            key: Of the INVITE.
            ack: Ready to be sent.
            to: Where; not where the INVITE went, if proxies left the path.
        """
        if client := self._clients.get(key):
            client.ack, client.ack_to = ack, to
            self.outgoing.append((ack, to))

    def tick(self, now: float) -> list[GivenUp]:
        """Repeat what is due; forget what is over.

        Returns:
            What was given up: requests without an answer, answers to INVITEs without an ACK.
        """
        lost: list[GivenUp] = []
        for key, server in list(self._servers.items()):
            if server.dies_at <= now:
                del self._servers[key]
                if server.repeat_at is not None:
                    lost.append(GivenUp(key))
            elif server.repeat_at is not None and server.repeat_at <= now:
                self.outgoing.append((server.response, server.reply_to))
                server.interval = min(2 * server.interval, T2_S)
                server.repeat_at = now + server.interval
        for key, client in list(self._clients.items()):
            if client.dies_at <= now:
                del self._clients[key]
                if not client.is_final:
                    lost.append(GivenUp(key))
            elif client.repeat_at is not None and client.repeat_at <= now:
                self.outgoing.append((bytes(client.request), client.to))
                slowest = T2_S if key[2] != "INVITE" else GIVE_UP_S
                client.interval = min(2 * client.interval, slowest)
                client.repeat_at = now + client.interval
        return lost

    def _acknowledged(
        self, request: Request, source: Hop, key: Key, known: _Server | None
    ) -> Asked | None:
        if known:
            # Of a failure: same branch, and nobody else's business.
            known.repeat_at = None
            return None
        return Asked(request, source, key)


def _stamp(headers: Headers, via: Via, source: Hop) -> None:
    """Note in the topmost Via where the request came from (RFC 3581)."""
    top = headers.all("Via")[0]
    stamped = f"{top};received={source[0]}"
    if via.parameters.get("rport") == "":
        parts = [part for part in stamped.split(";") if part.strip().lower() != "rport"]
        stamped = ";".join([*parts, f"rport={source[1]}"])
    headers.put_first("Via", stamped)


def _reply_to(via: Via, source: Hop) -> Hop:
    if source.protocol != "UDP" or "rport" in via.parameters:
        return source
    return Hop(source.host, via.port or DEFAULT_PORT)


def _ack_of_failure(invite: Request, response: Response) -> Request:
    headers = Headers([("Via", invite.headers.all("Via")[0])])
    for name in ("From", "Call-ID"):
        headers.add(name, invite.headers.get(name) or "")
    headers.add("To", response.headers.get("To") or "")
    headers.add("CSeq", f"{cseq(invite)[0]} ACK")
    headers.add("Max-Forwards", "70")
    for route in invite.headers.all("Route"):
        headers.add("Route", route)
    return Request("ACK", invite.uri, headers)
