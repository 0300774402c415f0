"""A SIP user agent: one UDP port, any number of calls."""

import asyncio
import contextlib
import ipaddress
import secrets
import socket
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Self

from loguru import logger

from agent.errors import RetryError
from agent.transports.phone.call import Direction
from agent.transports.sip import digest, sdp
from agent.transports.sip.addresses import (
    DEFAULT_PORT,
    Address,
    host_port,
    parse_uri,
    parse_via,
)
from agent.transports.sip.call import SipCall
from agent.transports.sip.dialog import ALLOWED, Dialog, response_to
from agent.transports.sip.media import RtpSession
from agent.transports.sip.message import (
    MalformedError,
    Message,
    Request,
    Response,
    cseq,
    parse,
)
from agent.transports.sip.resolve import address_of_record, find, local_host
from agent.transports.sip.transactions import (
    Answered,
    Asked,
    Key,
    TransactionLayer,
)

Network = ipaddress.IPv4Network | ipaddress.IPv6Network

PRIVATE_NETWORKS = (
    "127.0.0.0/8",
    "10.0.0.0/8",
    "172.16.0.0/12",
    "192.168.0.0/16",
    "::1/128",
    "fc00::/7",
)

_TICK_S = 0.1
_CLOSE_S = 1.0
"""How long a call given up may take to stop ringing."""
_LARGEST_HEADER = 256
_MOST_HEADERS_KEPT = 20


class CallRefusedError(RetryError):
    """A call of ours was not taken.

    Attributes:
        status: As SIP has it: 486 is busy, 408 no answer.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the call was not taken: {status} {reason}")
        self.status = status


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
    """

    user: str = "duplex"
    domain: str = ""
    password: str = ""
    advertised: str = ""
    rtp_ports: tuple[int, int] = (0, 0)
    accept_from: tuple[str, ...] = PRIVATE_NETWORKS
    transfer_to: frozenset[str] = frozenset()


class UserAgent(asyncio.DatagramProtocol):
    """Takes and makes calls.

    Args:
        settings: How it presents itself.
        on_call: Told of every call that rings. It takes it (`SipCall.answer`) or not
            (`SipCall.reject`).
    """

    def __init__(self, settings: UserAgentSettings, on_call: Callable[[SipCall], None]) -> None:
        self._settings = settings
        self._on_call = on_call
        self._networks = [ipaddress.ip_network(text) for text in settings.accept_from]
        self._layer = TransactionLayer()
        self._calls: dict[tuple[str, str], SipCall] = {}
        self._waiting: dict[Key, asyncio.Future[Response | None]] = {}
        self._ringing: set[Key] = set()
        self._abandoned: dict[Key, tuple[Request, Address, Dialog]] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._ticker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self._bound = ("", 0)
        self.malformed = 0
        """Datagrams that were no SIP."""
        self.foreign = 0
        """Datagrams from networks we do not listen to."""

    @classmethod
    async def open(
        cls,
        host: str,
        port: int,
        on_call: Callable[[SipCall], None],
        settings: UserAgentSettings | None = None,
    ) -> Self:
        """Listen.

        Args:
            host: Of this machine.
            port: 0 for any free one.
            on_call: Told of every call that rings.
            settings: How it presents itself.

        Raises:
            OSError: The port is taken.
        """
        agent = cls(settings or UserAgentSettings(), on_call)
        loop = asyncio.get_running_loop()
        await loop.create_datagram_endpoint(lambda: agent, local_addr=(host, port))
        agent._ticker = asyncio.create_task(agent._tick(), name="sip-timers")
        return agent

    @property
    def address(self) -> Address:
        """Where it listens."""
        return self._bound

    @property
    def calls(self) -> list[SipCall]:
        """Calls that ring or talk."""
        return list(self._calls.values())

    async def close(self) -> None:
        """Hang up every call and give the port back."""
        await asyncio.gather(*(call.hang_up() for call in self.calls))
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_CLOSE_S):
                # A telephone that we no longer want must not ring on.
                while self._abandoned:  # noqa: ASYNC110 - at the end, once
                    await asyncio.sleep(_TICK_S / 2)
        if self._ticker:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        if self._transport:
            self._transport.close()
            self._transport = None

    async def invite(self, uri: str) -> SipCall:
        """Call somebody; returns once he has answered.

        Cancelling the task that waits here gives up the call.

        Args:
            uri: Such as sip:anna@192.168.1.20.

        Raises:
            CallRefusedError: He did not.
            RetryError: The host is unknown, or no port is free.
        """
        to = await self._resolve(uri)
        sent_by = (self._host_towards(to), self._bound[1])
        contact = f"sip:{self._settings.user}@{host_port(sent_by)}"
        domain = self._settings.domain
        ours = f"sip:{self._settings.user}@{domain}" if domain else contact
        dialog = Dialog.calling(uri, ours, contact)
        call = SipCall(
            self,
            dialog,
            direction=Direction.OUTBOUND,
            peer=to,
            headers={},
            transfer_to=self._settings.transfer_to,
        )
        self._calls[dialog.call_id, dialog.local_tag] = call
        request = dialog.request("INVITE", sent_by)
        request.headers.add("Allow", ALLOWED)
        request.headers.add("Content-Type", "application/sdp")
        try:
            request.body = await call.offer()
            response = await self.ask(request, call)
            if response is None:
                raise CallRefusedError(408, "no answer")
            if response.status >= 300:
                raise CallRefusedError(response.status, response.reason)
            await call.talking(response.body)
        except (sdp.UnusableError, MalformedError) as error:
            self.begin(dialog.request("BYE", sent_by), call)
            await call.abandon()
            raise CallRefusedError(488, str(error)) from error
        except BaseException:
            await call.abandon()
            raise
        return call

    async def register(self, registrar: str, expires_s: int) -> int:
        """Tell a registrar where calls for us go.

        Args:
            registrar: Such as sip:pbx.example or sip:192.168.1.1:5060.
            expires_s: How long that shall hold; 0 ends it.

        Returns:
            How long it holds, in seconds, as the registrar says.

        Raises:
            RetryError: It did not answer, or refused.
        """
        to = await self._resolve(registrar)
        sent_by = (self._host_towards(to), self._bound[1])
        host = parse_uri(registrar).host
        ours = f"sip:{self._settings.user}@{f'[{host}]' if ':' in host else host}"
        contact = f"sip:{self._settings.user}@{host_port(sent_by)}"
        dialog = Dialog.calling(ours, ours, contact)
        dialog.target = registrar
        request = dialog.request("REGISTER", sent_by)
        request.headers.add("Expires", str(expires_s))
        response = await self._ask(request, to, dialog)
        if response is None:
            raise RetryError(f"{registrar} does not answer; check sip.registrar and the network")
        if response.status >= 300:
            raise RetryError(
                f"{registrar} refused to register {self._settings.user}: {response.status} "
                f"{response.reason}; check sip.user and sip.password"
            )
        return _granted(response, contact, expires_s)

    # For calls.

    def host_for(self, call: SipCall) -> str:
        """Our host, as the peer of this call reaches it."""
        return self._host_towards(call.peer)

    def sent_by(self, call: SipCall) -> Address:
        """Our address, as the peer of this call reaches it."""
        return self.host_for(call), self._bound[1]

    async def open_media(self, call: SipCall) -> RtpSession:
        """Take a port for a call's audio, on the interface that faces its peer.

        Raises:
            OSError: None is free.
        """
        return await RtpSession.open(self._bound[0], self._settings.rtp_ports)

    def respond(self, key: Key, response: Response) -> None:
        """Answer a request."""
        self._layer.respond(key, response, self._now())
        self._flush()

    def settle(self, key: Key) -> None:
        """Stop repeating a 200: its ACK has come."""
        self._layer.settle(key)

    def begin(self, request: Request, call: SipCall) -> None:
        """Send a request of a call's dialog; its answer is nobody's business."""
        self._layer.request(request, self._hop(call), self._now())
        self._flush()

    async def ask(self, request: Request, call: SipCall) -> Response | None:
        """Send a request of a call's dialog, proving who we are if that is asked.

        Returns:
            The final response; None if there was none. An INVITE's 2xx is acknowledged.
        """
        return await self._ask(request, self._hop(call), call.dialog)

    def uri_of(self, to: str, peer: Address) -> str:
        """The URI of a destination: a number is one of our exchange's, or else of the peer's."""
        return address_of_record(to, f"sip:{self._settings.domain or host_port(peer)}")

    def forget(self, call: SipCall) -> None:
        """The call is over."""
        self._calls.pop((call.dialog.call_id, call.dialog.local_tag), None)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something to its end, or to the user agent's."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    # The socket.

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The port is ours."""
        self._transport = transport  # type: ignore[assignment]
        host, port = transport.get_extra_info("sockname")[:2]
        self._bound = (host, port)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """Take whatever came; nonsense is counted."""
        if not data.strip(b"\r\n\0 "):
            return  # It only keeps a translator's port open.
        source = (addr[0], addr[1])
        if not self._is_welcome(source[0]):
            self.foreign += 1
            return
        try:
            self._dispatch(parse(data), source)
        except MalformedError as error:
            self.malformed += 1
            # The first few tell the operator what is wrong; a flood must not fill the disk.
            if self.malformed <= 3:
                logger.warning("ignored what {} sent: {}", source[0], error)
        self._flush()

    def error_received(self, exc: Exception) -> None:
        """A peer's port is closed; its transaction runs out."""

    def _dispatch(self, message: Message, source: Address) -> None:
        if isinstance(message, Request):
            asked = self._layer.receive_request(message, source, self._now())
            if asked:
                self._asked(asked)
        else:
            answered = self._layer.receive_response(message, self._now())
            if answered:
                self._answered(answered)

    def _asked(self, asked: Asked) -> None:
        request = asked.request
        tag = _tag_of(request)
        call = self._calls.get((request.headers.get("Call-ID") or "", tag))
        if request.method == "CANCEL":
            self._cancelled(asked)
        elif tag:
            if call and call.dialog.is_of(request):
                self.spawn(call.asked(asked))
            elif request.method != "ACK":
                self._refuse(asked, 481, "Call Does Not Exist")
        elif request.method == "INVITE":
            self._invited(asked)
        elif request.method == "OPTIONS":
            response = response_to(request, 200, "OK", tag="options", contact=self._contact(asked))
            response.headers.add("Accept", "application/sdp")
            self.respond(asked.key, response)
        elif request.method in ALLOWED.split(", "):
            if request.method != "ACK":
                self._refuse(asked, 481, "Call Does Not Exist")
        else:
            self._refuse(asked, 405, "Method Not Allowed")

    def _invited(self, asked: Asked) -> None:
        request = asked.request
        if required := request.headers.get("Require"):
            response = response_to(request, 420, "Bad Extension", tag="refused")
            response.headers.add("Unsupported", required)
            self.respond(asked.key, response)
            return
        try:
            dialog = Dialog.of_invite(request, self._contact(asked))
        except MalformedError as error:
            self._refuse(asked, 400, f"Bad Request: {error}")
            return
        call = SipCall(
            self,
            dialog,
            direction=Direction.INBOUND,
            peer=asked.source,
            headers=_extras(request),
            transfer_to=self._settings.transfer_to,
        )
        try:
            call.ring(asked)
        except sdp.UnusableError as error:
            response = response_to(request, 488, "Not Acceptable Here", tag=dialog.local_tag)
            response.headers.add("Warning", f'304 duplex "{error}"')
            self.respond(asked.key, response)
            return
        self._calls[dialog.call_id, dialog.local_tag] = call
        self._on_call(call)

    def _cancelled(self, asked: Asked) -> None:
        self._refuse(asked, 200, "OK")
        branch = asked.key[0]
        any(call.cancelled(branch) for call in self.calls)

    def _refuse(self, asked: Asked, status: int, reason: str) -> None:
        response = response_to(asked.request, status, reason, tag="refused")
        if status == 405:
            response.headers.add("Allow", ALLOWED)
        self.respond(asked.key, response)

    def _contact(self, asked: Asked) -> str:
        here = (self._host_towards(asked.source), self._bound[1])
        return f"sip:{self._settings.user}@{host_port(here)}"

    # Requests of ours.

    async def _ask(self, request: Request, to: Address, dialog: Dialog) -> Response | None:
        response = await self._ask_once(request, to, dialog)
        if response is None or response.status not in (401, 407) or not self._settings.password:
            return response
        name = "WWW-Authenticate" if response.status == 401 else "Proxy-Authenticate"
        challenge = digest.best(response.headers.all(name))
        if challenge is None:
            return response
        proof = digest.answer(
            challenge,
            user=self._settings.user,
            password=self._settings.password,
            method=request.method,
            uri=request.uri,
            cnonce=secrets.token_hex(8),
        )
        again = dialog.request(request.method, _sent_by(request))
        own = {"via", "max-forwards", "from", "to", "call-id", "cseq", "contact", "user-agent"}
        for header, value in request.headers:
            if header.lower() not in own | {"route"}:
                again.headers.add(header, value)
        again.headers.add(
            "Authorization" if response.status == 401 else "Proxy-Authorization", proof
        )
        again.uri, again.body = request.uri, request.body
        return await self._ask_once(again, to, dialog)

    async def _ask_once(self, request: Request, to: Address, dialog: Dialog) -> Response | None:
        key = self._layer.request(request, to, self._now())
        answer = self._waiting[key] = asyncio.get_running_loop().create_future()
        self._flush()
        try:
            response: Response | None = await answer
        except asyncio.CancelledError:
            if request.method == "INVITE":
                self._abandon(key, request, to, dialog)
            raise
        finally:
            del self._waiting[key]
        if response and request.method == "INVITE" and response.status < 300:
            if not dialog.remote_tag:
                dialog.answered_by(response)
            self._acknowledge(key, request, to, dialog)
        return response

    def _acknowledge(self, key: Key, invite: Request, to: Address, dialog: Dialog) -> None:
        ack = dialog.request("ACK", _sent_by(invite), number=cseq(invite)[0])
        self._layer.acknowledge(key, bytes(ack), self._hop_of(dialog, to))
        self._flush()

    def _abandon(self, key: Key, invite: Request, to: Address, dialog: Dialog) -> None:
        """Cancel an INVITE: at once if somebody rings, else when the first response comes."""
        self._abandoned[key] = (invite, to, dialog)
        if key in self._ringing:
            self._cancel(key)
            self._flush()

    def _cancel(self, key: Key) -> None:
        invite, to, dialog = self._abandoned[key]
        cancel = dialog.request("CANCEL", ("", 0), number=cseq(invite)[0])
        # The same transaction to the peer, so the same branch (RFC 3261 9.1).
        cancel.headers.put_first("Via", invite.headers.all("Via")[0])
        cancel.uri = invite.uri
        self._layer.request(cancel, to, self._now())

    def _answered(self, answered: Answered) -> None:
        key, response = answered.key, answered.response
        if key in self._abandoned:
            self._answered_too_late(answered)
        elif response.status < 200:
            self._ringing.add(key)
        elif (waiting := self._waiting.get(key)) and not waiting.done():
            self._ringing.discard(key)
            waiting.set_result(response)

    def _answered_too_late(self, answered: Answered) -> None:
        """A call we gave up has begun to ring, or was answered all the same."""
        key, response = answered.key, answered.response
        if response.status < 200:
            if key not in self._ringing:
                self._ringing.add(key)
                self._cancel(key)
            return
        invite, to, dialog = self._abandoned.pop(key)
        self._ringing.discard(key)
        if response.status < 300:
            dialog.answered_by(response)
            self._acknowledge(key, invite, to, dialog)
            self._layer.request(dialog.request("BYE", _sent_by(invite)), to, self._now())

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            for lost in self._layer.tick(self._now()):
                self._given_up(lost.key)
            self._flush()

    def _given_up(self, key: Key) -> None:
        self._abandoned.pop(key, None)
        self._ringing.discard(key)
        if (waiting := self._waiting.get(key)) and not waiting.done():
            waiting.set_result(None)
        for call in self.calls:
            if call.unacknowledged(key):
                self.spawn(call.hang_up())

    # Where to.

    def _hop(self, call: SipCall) -> Address:
        return self._hop_of(call.dialog, call.peer)

    def _hop_of(self, dialog: Dialog, otherwise: Address) -> Address:
        try:
            host, port = dialog.next_hop()
            ipaddress.ip_address(host)
        except (MalformedError, ValueError):
            # A name: the peer is where its signalling came from.
            return otherwise
        return host, port

    def _host_towards(self, peer: Address) -> str:
        if self._settings.advertised:
            return self._settings.advertised
        if not ipaddress.ip_address(self._bound[0]).is_unspecified:
            return self._bound[0]
        return local_host(peer[0])

    async def _resolve(self, uri: str) -> Address:
        return await find(uri, socket.AF_INET6 if ":" in self._bound[0] else socket.AF_INET)

    def _is_welcome(self, host: str) -> bool:
        address = ipaddress.ip_address(host.partition("%")[0])
        return any(
            address in network for network in self._networks if network.version == address.version
        )

    def _flush(self) -> None:
        outgoing, self._layer.outgoing = self._layer.outgoing, []
        for data, to in outgoing:
            self._send(data, to)

    def _send(self, data: bytes, to: Address) -> None:
        if self._transport:
            self._transport.sendto(data, to)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.opt(exception=error).error("a SIP request could not be served")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _sent_by(request: Request) -> Address:
    top = parse_via(request.headers.all("Via")[0])
    return top.host, top.port or DEFAULT_PORT


def _tag_of(request: Request) -> str:
    to = request.headers.get("To") or ""
    for parameter in to.rpartition(">")[2].split(";")[1:]:
        name, _, value = parameter.partition("=")
        if name.strip().lower() == "tag":
            return value.strip()
    return ""


def _extras(request: Request) -> dict[str, str]:
    """What the caller or its exchange says besides: X- headers and who they vouch for."""
    wanted = ("p-asserted-identity", "diversion", "subject", "user-agent")
    found = [
        (name, value[:_LARGEST_HEADER])
        for name, value in request.headers
        if name.lower().startswith("x-") or name.lower() in wanted
    ]
    return dict(found[:_MOST_HEADERS_KEPT])


def _granted(response: Response, contact: str, asked_s: int) -> int:
    """Seconds a registration holds: said beside our own contact, or for all."""
    for value in response.headers.all("Contact"):
        if contact in value:
            for parameter in value.rpartition(">")[2].split(";"):
                name, _, seconds = parameter.partition("=")
                if name.strip().lower() == "expires":
                    return _seconds(seconds, asked_s)
    return _seconds(response.headers.get("Expires") or "", asked_s)


def _seconds(text: str, most: int) -> int:
    text = text.strip()
    return min(most, int(text[:9])) if text.isascii() and text.isdecimal() else most
