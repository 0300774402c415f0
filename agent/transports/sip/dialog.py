"""What two parties of a call agree to be talking about (RFC 3261 section 12). Pure."""

import secrets
from dataclasses import dataclass, field
from enum import Enum, auto

from agent.transports.sip.addresses import Hop, host_port, parse_name_address, parse_uri
from agent.transports.sip.message import (
    Headers,
    MalformedError,
    Request,
    Response,
    cseq,
    describe,
)

ALLOWED = "INVITE, ACK, BYE, CANCEL, OPTIONS, INFO, UPDATE, NOTIFY"
USER_AGENT = "Duplex"

_LARGEST_HEADER = 256
_MOST_HEADERS_KEPT = 20


def new_branch() -> str:
    """An unused transaction identity; the prefix says that it is one (RFC 3261 8.1.1.7)."""
    return f"z9hG4bK{secrets.token_hex(8)}"


def new_tag() -> str:
    """An unguessable half of a dialog's identity."""
    return secrets.token_hex(8)


class State(Enum):
    """Where the signalling of a call stands."""

    RINGING = auto()
    TALKING = auto()
    OVER = auto()


@dataclass(slots=True)
class Dialog:
    """One side of a call's signalling.

    Attributes:
        call_id: Same for both.
        local: Our From or To value, without tag.
        local_tag: Ours.
        remote: Theirs, without tag.
        remote_tag: Theirs; empty until they answered.
        target: URI of requests in the dialog: their Contact.
        contact: Ours.
        route: Proxies that want to stay in between, nearest first.
        local_number: CSeq of our last request.
        remote_number: CSeq of their last one.
    """

    call_id: str
    local: str
    local_tag: str
    remote: str
    remote_tag: str
    target: str
    contact: str
    route: list[str] = field(default_factory=list)
    local_number: int = 0
    remote_number: int = 0

    @classmethod
    def of_invite(cls, invite: Request, contact: str) -> "Dialog":
        """Begin as the one who was called.

        Raises:
            MalformedError: From, To or Contact make no sense.
        """
        caller = parse_name_address(invite.headers.get("From") or "")
        called = parse_name_address(invite.headers.get("To") or "")
        contacts = invite.headers.all("Contact")
        if not contacts:
            raise MalformedError("an INVITE without Contact")
        return cls(
            call_id=invite.headers.get("Call-ID") or "",
            local=f"<{called.uri}>",
            local_tag=new_tag(),
            remote=f"<{caller.uri}>",
            remote_tag=caller.tag,
            target=parse_name_address(contacts[0]).uri,
            contact=contact,
            route=invite.headers.all("Record-Route"),
            remote_number=cseq(invite)[0],
        )

    @classmethod
    def calling(cls, uri: str, local: str, contact: str) -> "Dialog":
        """Begin as the one who calls `uri`; `local` is our own URI."""
        return cls(
            call_id=f"{secrets.token_hex(12)}@duplex",
            local=f"<{local}>",
            local_tag=new_tag(),
            remote=f"<{uri}>",
            remote_tag="",
            target=uri,
            contact=contact,
        )

    def answered_by(self, response: Response) -> None:
        """Learn from a 2xx (or a provisional response with a tag) who answered.

        Raises:
            MalformedError: To or Contact make no sense.
        """
        self.remote_tag = parse_name_address(response.headers.get("To") or "").tag
        if contacts := response.headers.all("Contact"):
            self.target = parse_name_address(contacts[0]).uri
        self.route = response.headers.all("Record-Route")[::-1]

    def is_of(self, request: Request) -> bool:
        """Whether a request's tags are those of this dialog."""
        try:
            sender = parse_name_address(request.headers.get("From") or "")
            receiver = parse_name_address(request.headers.get("To") or "")
        except MalformedError:
            return False
        return (sender.tag, receiver.tag) == (self.remote_tag, self.local_tag)

    def accepts(self, request: Request) -> bool:
        """Whether a request is newer than the last; remembers it if so."""
        number = cseq(request)[0]
        if number <= self.remote_number:
            return False
        self.remote_number = number
        return True

    def refresh_target(self, request: Request) -> None:
        """A re-INVITE may come from a new place."""
        if contacts := request.headers.all("Contact"):
            self.target = parse_name_address(contacts[0]).uri

    def request(self, method: str, sent_by: Hop, *, number: int | None = None) -> Request:
        """Write a request inside the dialog.

        Args:
            method: Such as BYE.
            sent_by: Our address.
            number: CSeq of the INVITE, for its ACK and CANCEL; None counts on.
        """
        if number is None:
            self.local_number += 1
            number = self.local_number
        headers = Headers(
            [
                ("Via", via(sent_by)),
                ("Max-Forwards", "70"),
                ("From", f"{self.local};tag={self.local_tag}"),
                ("To", self.remote + (f";tag={self.remote_tag}" if self.remote_tag else "")),
                ("Call-ID", self.call_id),
                ("CSeq", f"{number} {method}"),
                ("Contact", f"<{self.contact}>"),
                ("User-Agent", USER_AGENT),
            ]
        )
        for route in self.route:
            headers.add("Route", route)
        return Request(method, self.target, headers)

    def refer(self, to: str, sent_by: Hop) -> Request:
        """Ask the peer to call somebody else instead (RFC 3515)."""
        request = self.request("REFER", sent_by)
        request.headers.add("Refer-To", f"<{to}>")
        request.headers.add("Referred-By", f"<{self.contact}>")
        return request

    def response(self, request: Request, status: int, reason: str, body: bytes = b"") -> Response:
        """Answer a request of the dialog; `body` describes a session."""
        response = response_to(request, status, reason, tag=self.local_tag, contact=self.contact)
        if body:
            describe(response, body)
        return response

    def next_hop(self) -> Hop:
        """Where requests of this dialog are sent: the nearest proxy, else their Contact.

        Raises:
            MalformedError: It is no SIP URI.
        """
        return _place(parse_name_address(self.route[0]).uri if self.route else self.target)


def via(sent_by: Hop) -> str:
    """Write our Via, with a fresh branch."""
    return f"SIP/2.0/{sent_by.protocol} {host_port(sent_by)};rport;branch={new_branch()}"


def response_to(
    request: Request,
    status: int,
    reason: str,
    *,
    tag: str = "",
    contact: str = "",
) -> Response:
    """Write a response to a request.

    Args:
        request: Whose Via, From, Call-ID and CSeq are repeated.
        status: 100 to 699.
        reason: For people.
        tag: Ours, if the request's To has none yet.
        contact: Our URI, where the response begins a dialog.
    """
    headers = Headers([("Via", value) for value in request.headers.all("Via")])
    for value in request.headers.all("Record-Route"):
        headers.add("Record-Route", value)
    headers.add("From", request.headers.get("From") or "")
    to = request.headers.get("To") or ""
    has_tag = "tag=" in to.rpartition(">")[2].lower()
    headers.add("To", to if has_tag or not tag else f"{to};tag={tag}")
    for name in ("Call-ID", "CSeq"):
        headers.add(name, request.headers.get(name) or "")
    if contact:
        headers.add("Contact", f"<{contact}>")
        headers.add("Allow", ALLOWED)
    headers.add("Server", USER_AGENT)
    return Response(status, reason, headers)


def _place(uri: str) -> Hop:
    parsed = parse_uri(uri)
    maddr = parsed.parameters.get("maddr")
    return Hop(maddr or parsed.host, parsed.address[1], parsed.protocol)


def tag_of(request: Request) -> str:
    """The tag of its To: empty in a request that begins something."""
    to = request.headers.get("To") or ""
    for parameter in to.rpartition(">")[2].split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "tag":
            return value.strip()
    return ""


def extras(request: Request) -> dict[str, str]:
    """What the caller or its exchange says besides: X- headers and who they vouch for."""
    wanted = ("p-asserted-identity", "diversion", "subject", "user-agent")
    found = [
        (name, value[:_LARGEST_HEADER])
        for name, value in request.headers
        if name.lower().startswith("x-") or name.lower() in wanted
    ]
    return dict(found[:_MOST_HEADERS_KEPT])
