"""Requests of ours: sent, proved, given up, and their responses."""

import asyncio
import secrets
from collections.abc import Callable

from agent.transports.sip import digest
from agent.transports.sip.addresses import DEFAULT_PORT, Hop, parse_via
from agent.transports.sip.dialog import Dialog
from agent.transports.sip.message import Request, Response, cseq
from agent.transports.sip.transactions import Answered, Key, TransactionLayer

_OWN = {"via", "max-forwards", "from", "to", "call-id", "cseq", "contact", "user-agent", "route"}
"""Headers that a dialog writes itself."""


class Requests:
    """What we ask of others, over the transaction layer.

    Args:
        layer: Of the user agent.
        user: Our name.
        password: To prove it; empty for none.
        flush: Sends what waits in the layer.
        hop_of: Where requests of a dialog go, if not where its signalling came from.
    """

    def __init__(
        self,
        layer: TransactionLayer,
        user: str,
        password: str,
        flush: Callable[[], None],
        hop_of: Callable[[Dialog, Hop], Hop],
    ) -> None:
        self._layer = layer
        self._user, self._password = user, password
        self._flush, self._hop_of = flush, hop_of
        self._waiting: dict[Key, asyncio.Future[Response | None]] = {}
        self._ringing: set[Key] = set()
        self._abandoned: dict[Key, tuple[Request, Hop, Dialog]] = {}

    @property
    def is_giving_up(self) -> bool:
        """Whether somebody may still ring whom we no longer want."""
        return bool(self._abandoned)

    async def ask(self, request: Request, to: Hop, dialog: Dialog) -> Response | None:
        """Send a request, proving who we are if that is asked.

        Returns:
            The final response; None if there was none. An INVITE's 2xx is acknowledged.
        """
        response = await self._ask_once(request, to, dialog)
        if response is None or response.status not in (401, 407) or not self._password:
            return response
        name = "WWW-Authenticate" if response.status == 401 else "Proxy-Authenticate"
        challenge = digest.best(response.headers.all(name))
        if challenge is None:
            return response
        proof = digest.answer(
            challenge,
            user=self._user,
            password=self._password,
            method=request.method,
            uri=request.uri,
            cnonce=secrets.token_hex(8),
        )
        again = dialog.request(request.method, sent_by(request))
        for header, value in request.headers:
            if header.lower() not in _OWN:
                again.headers.add(header, value)
        again.headers.add(
            "Authorization" if response.status == 401 else "Proxy-Authorization", proof
        )
        again.uri, again.body = request.uri, request.body
        return await self._ask_once(again, to, dialog)

    def answered(self, answered: Answered) -> None:
        """A response has come."""
        key, response = answered.key, answered.response
        if key in self._abandoned:
            self._answered_too_late(answered)
        elif response.status < 200:
            self._ringing.add(key)
        elif (waiting := self._waiting.get(key)) and not waiting.done():
            self._ringing.discard(key)
            waiting.set_result(response)

    def given_up(self, key: Key) -> None:
        """Nobody answered."""
        self._abandoned.pop(key, None)
        self._ringing.discard(key)
        if (waiting := self._waiting.get(key)) and not waiting.done():
            waiting.set_result(None)

    async def _ask_once(self, request: Request, to: Hop, dialog: Dialog) -> Response | None:
        key = self._layer.request(request, to, _now())
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

    def _acknowledge(self, key: Key, invite: Request, to: Hop, dialog: Dialog) -> None:
        ack = dialog.request("ACK", sent_by(invite), number=cseq(invite)[0])
        self._layer.acknowledge(key, bytes(ack), self._hop_of(dialog, to))
        self._flush()

    def _abandon(self, key: Key, invite: Request, to: Hop, dialog: Dialog) -> None:
        """Cancel an INVITE: at once if somebody rings, else when the first response comes."""
        self._abandoned[key] = (invite, to, dialog)
        if key in self._ringing:
            self._cancel(key)
            self._flush()

    def _cancel(self, key: Key) -> None:
        invite, to, dialog = self._abandoned[key]
        cancel = dialog.request("CANCEL", Hop("", 0), number=cseq(invite)[0])
        # The same transaction to the peer, so the same branch (RFC 3261 9.1).
        cancel.headers.put_first("Via", invite.headers.all("Via")[0])
        cancel.uri = invite.uri
        self._layer.request(cancel, to, _now())

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
            self._layer.request(dialog.request("BYE", sent_by(invite)), to, _now())


def sent_by(request: Request) -> Hop:
    """Whom a request of ours says it is from."""
    top = parse_via(request.headers.all("Via")[0])
    return Hop(top.host, top.port or DEFAULT_PORT, top.transport)


def _now() -> float:
    return asyncio.get_running_loop().time()
