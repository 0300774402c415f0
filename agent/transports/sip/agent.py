"""A SIP user agent: one port, any number of calls."""

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping
from typing import Any, Self

from loguru import logger

from agent.errors import RetryError
from agent.transports.phone.call import Direction
from agent.transports.sip import registration, sdp
from agent.transports.sip.addresses import Address, Hop, host_port
from agent.transports.sip.call import SipCall
from agent.transports.sip.codecs import G711
from agent.transports.sip.coding import usable
from agent.transports.sip.dialog import ALLOWED, Dialog, extras, response_to, tag_of
from agent.transports.sip.media import RtpSession
from agent.transports.sip.message import (
    MalformedError,
    Message,
    Request,
    Response,
    describe,
    parse,
)
from agent.transports.sip.negotiation import Negotiation
from agent.transports.sip.presented import UserAgentSettings
from agent.transports.sip.requests import Requests
from agent.transports.sip.resolve import address_of_record
from agent.transports.sip.sdes import Security, new_key
from agent.transports.sip.sockets import Sockets
from agent.transports.sip.srtp import IS_INSTALLED
from agent.transports.sip.transactions import Asked, Key, TransactionLayer
from agent.transports.sip.ways import Ways

_TICK_S = 0.1
_CLOSE_S = 1.0
"""How long a call given up may take to stop ringing."""


class CallRefusedError(RetryError):
    """A call of ours was not taken.

    Attributes:
        status: As SIP has it: 486 is busy, 408 no answer.
    """

    def __init__(self, status: int, reason: str) -> None:
        super().__init__(f"the call was not taken: {status} {reason}")
        self.status = status


class UserAgent:
    """Takes and makes calls.

    Args:
        settings: How it presents itself.
        on_call: Told of every call that rings. It takes it (`SipCall.answer`) or not
            (`SipCall.reject`).
    """

    def __init__(self, settings: UserAgentSettings, on_call: Callable[[SipCall], None]) -> None:
        self._settings = settings
        self._on_call = on_call
        self._layer = TransactionLayer()
        self._calls: dict[tuple[str, str], SipCall] = {}
        self._sockets = Sockets(
            self._take, lambda host: self._ways.is_welcome(host), settings.trust
        )
        self._ways = Ways(settings, self._sockets)
        # Looked for now: the system's library is found by other programs, and calls would wait.
        self._usable = usable() if settings.opus else G711
        self._requests = Requests(
            self._layer, settings.user, settings.password, self._flush, self._ways.hop_of
        )
        self._ticker: asyncio.Task[None] | None = None
        self._tasks: set[asyncio.Task[Any]] = set()
        self.malformed = 0
        """Messages that were no SIP."""
        self.foreign = 0
        """Messages from networks we do not listen to."""

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
        settings = settings or UserAgentSettings()
        agent = cls(settings, on_call)
        await agent._sockets.listen(
            host,
            port,
            tcp=settings.tcp,
            tls_port=settings.tls_port,
            certificate=settings.certificate,
        )
        agent._ticker = asyncio.create_task(agent._tick(), name="sip-timers")
        return agent

    @property
    def address(self) -> Address:
        """Where it listens, over UDP and over TCP if that is wanted."""
        return self._sockets.bound

    @property
    def tls_port(self) -> int:
        """Where it listens over TLS; 0 if it does not."""
        return self._sockets.tls_port

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
                while self._requests.is_giving_up:  # noqa: ASYNC110 - at the end, once
                    await asyncio.sleep(_TICK_S / 2)
        if self._ticker:
            self._ticker.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._ticker
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._sockets.close()

    async def invite(self, uri: str) -> SipCall:
        """Call somebody; returns once he has answered.

        Cancelling the task that waits here gives up the call.

        Args:
            uri: Such as sip:anna@192.168.1.20.

        Raises:
            CallRefusedError: He did not.
            RetryError: The host is unknown, or no port is free.
        """
        to = await self._ways.reach(uri)
        sent_by = self._ways.sent_by(to)
        contact = self._ways.contact(to)
        domain = self._settings.domain
        ours = f"sip:{self._settings.user}@{domain}" if domain else contact
        dialog = Dialog.calling(uri, ours, contact)
        call = self._call(dialog, Direction.OUTBOUND, to, {})
        self._calls[dialog.call_id, dialog.local_tag] = call
        request = dialog.request("INVITE", sent_by)
        request.headers.add("Allow", ALLOWED)
        try:
            describe(request, await call.offer())
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
        """Tell a registrar where calls for us go; see `registration.register`.

        Raises:
            RetryError: It did not answer, or refused.
        """
        to = await self._ways.reach(registrar)
        return await registration.register(
            self._requests,
            registrar,
            expires_s,
            to=to,
            sent_by=self._ways.sent_by(to),
            contact=self._ways.contact(to),
        )

    # For calls.

    def host_for(self, call: SipCall) -> str:
        """Our host, as the peer of this call reaches it."""
        return self._ways.host_towards(call.peer)

    def sent_by(self, call: SipCall) -> Hop:
        """Our address, as the peer of this call reaches it."""
        return self._ways.sent_by(call.peer)

    async def open_media(self, call: SipCall) -> RtpSession:
        """Take a port for a call's audio, on the interface that faces its peer.

        Raises:
            OSError: None is free.
        """
        return await RtpSession.open(self.address[0], self._settings.rtp_ports)

    def respond(self, key: Key, response: Response) -> None:
        """Answer a request."""
        self._layer.respond(key, response, self._now())
        self._flush()

    def settle(self, key: Key) -> None:
        """Stop repeating a 200: its ACK has come."""
        self._layer.settle(key)

    def begin(self, request: Request, call: SipCall) -> None:
        """Send a request of a call's dialog; its answer is nobody's business."""
        self._layer.request(request, self._ways.hop_of(call.dialog, call.peer), self._now())
        self._flush()

    async def ask(self, request: Request, call: SipCall) -> Response | None:
        """Send a request of a call's dialog, proving who we are if that is asked.

        Returns:
            The final response; None if there was none. An INVITE's 2xx is acknowledged.
        """
        hop = self._ways.hop_of(call.dialog, call.peer)
        return await self._requests.ask(request, hop, call.dialog)

    def uri_of(self, to: str, peer: Hop) -> str:
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

    # What comes.

    def _take(self, data: bytes, source: Hop) -> None:
        """Take whatever came; nonsense is counted."""
        if not data.strip(b"\r\n\0 "):
            return  # It only keeps a translator's port open.
        if not self._ways.is_welcome(source.host):
            self.foreign += 1
            return
        try:
            self._dispatch(parse(data), source)
        except MalformedError as error:
            self.malformed += 1
            # The first few tell the operator what is wrong; a flood must not fill the disk.
            if self.malformed <= 3:
                logger.warning("ignored what {} sent: {}", source.host, error)
        self._flush()

    def _dispatch(self, message: Message, source: Hop) -> None:
        if isinstance(message, Request):
            asked = self._layer.receive_request(message, source, self._now())
            if asked:
                self._asked(asked)
        else:
            answered = self._layer.receive_response(message, self._now())
            if answered:
                self._requests.answered(answered)

    def _asked(self, asked: Asked) -> None:
        request = asked.request
        tag = tag_of(request)
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
            response = response_to(
                request, 200, "OK", tag="options", contact=self._ways.contact(asked.source)
            )
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
            dialog = Dialog.of_invite(request, self._ways.contact(asked.source))
        except MalformedError as error:
            self._refuse(asked, 400, f"Bad Request: {error}")
            return
        call = self._call(dialog, Direction.INBOUND, asked.source, extras(request))
        try:
            call.ring(asked)
        except sdp.UnusableError as error:
            logger.warning("refused a call from {}: {}", asked.source.host, error)
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

    def _call(
        self, dialog: Dialog, direction: Direction, peer: Hop, headers: Mapping[str, str]
    ) -> SipCall:
        settings = self._settings
        # A key for this call alone.
        security = Security(IS_INSTALLED, settings.encrypts, new_key())
        return SipCall(
            self,
            dialog,
            direction=direction,
            peer=peer,
            headers=headers,
            terms=Negotiation(security, self._usable),
            transfer_to=settings.transfer_to,
            recordings=settings.recordings,
        )

    async def _tick(self) -> None:
        while True:
            await asyncio.sleep(_TICK_S)
            for lost in self._layer.tick(self._now()):
                self._given_up(lost.key)
            self._flush()

    def _given_up(self, key: Key) -> None:
        self._requests.given_up(key)
        for call in self.calls:
            if call.unacknowledged(key):
                self.spawn(call.hang_up())

    def _flush(self) -> None:
        outgoing, self._layer.outgoing = self._layer.outgoing, []
        for data, to in outgoing:
            self._sockets.send(data, to)

    def _done(self, task: "asyncio.Task[Any]") -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()):
            logger.opt(exception=error).error("a SIP request could not be served")

    def _now(self) -> float:
        return asyncio.get_running_loop().time()
