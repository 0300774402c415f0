"""One call over SIP: signalling on one side, the line the pipeline talks over on the other."""

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from loguru import logger

from agent.audio.chunk import Int16Array
from agent.errors import RetryError
from agent.transports.line import Told
from agent.transports.phone.call import (
    Call,
    CallFacts,
    CallState,
    Capabilities,
    Direction,
    Sound,
)
from agent.transports.sip import sdp
from agent.transports.sip.addresses import Hop, party
from agent.transports.sip.audio import CallAudio
from agent.transports.sip.dialog import Dialog, State
from agent.transports.sip.digits import from_info
from agent.transports.sip.g711 import SAMPLE_RATE
from agent.transports.sip.media import RtpSession
from agent.transports.sip.message import MalformedError, Request, describe
from agent.transports.sip.negotiation import Negotiation
from agent.transports.sip.referral import Referral, TransferError, said
from agent.transports.sip.transactions import Asked, Key

if TYPE_CHECKING:
    from agent.transports.sip.agent import UserAgent

DELAY_S = 0.12
"""From a packet's leaving to its sounding, estimated, since RTP does not say it: network and the
peer's buffer."""

_CAPABILITIES = Capabilities(dtmf_in=True, dtmf_out=True, transfer=True, consult=True, hold=True)


class SipCall(Told):
    """One call, whoever began it: the `Line` and the `CallControl` of an agent's `Call`.

    Attributes:
        call: As the agent sees it.
        sample_rate: Both ways, in Hz.
        dialog: Of the signalling.
        audio: What was agreed on about it, and its port.
        state: Of the signalling.
        stays: Whether the call goes on when its conversation is over.
        is_joined: Whether the other party talks with somebody else than us.
        gone: Set when the call is over.
        peer: Where its signalling came from.
    """

    def __init__(
        self,
        agent: "UserAgent",
        dialog: Dialog,
        *,
        direction: Direction,
        peer: Hop,
        headers: Mapping[str, str],
        terms: Negotiation,
        transfer_to: frozenset[str] = frozenset(),
        recordings: Path | None = None,
    ) -> None:
        super().__init__(recordings)
        self.dialog = dialog
        self.state = State.RINGING
        self.sample_rate = SAMPLE_RATE
        self.audio = CallAudio(terms, self._open_port, peer.host)
        self.stays = self.is_joined = False
        self.gone = asyncio.Event()
        self.peer = peer
        self._agent = agent
        self._invite: Asked | None = None
        self._offered: list[sdp.Medium] | None = None
        self._is_acknowledged = False
        self._is_reinviting = False
        self._referral: Referral | None = None
        ends = (dialog.remote, dialog.local)
        caller, called = ends if direction is Direction.INBOUND else ends[::-1]
        self.call = Call(
            facts=CallFacts(
                dialog.call_id, "sip", party(caller), party(called), direction, headers
            ),
            capabilities=replace(_CAPABILITIES, record=recordings is not None),
            control=self,
            sound=Sound(SAMPLE_RATE, DELAY_S),
            transfer_to=transfer_to,
        )

    @property
    def agreement(self) -> sdp.Agreement | None:
        """What was agreed on about the audio; None before the first time."""
        return self.audio.terms.agreement

    # The line.

    async def answer(self) -> None:
        """Take a call that rings; nothing if the caller gave up. Ours is taken already."""
        if self._invite is None and self.state is State.TALKING:
            self._on_talking()
        if self._invite is None or self.state is not State.RINGING:
            return
        try:
            body = await self._describe(self._offered)
        except (sdp.UnusableError, OSError) as error:
            logger.warning("cannot take a call: {}", error)
            self.reject(500, "Server Internal Error")
            return
        if self.state is State.RINGING:
            self._respond(self._invite, 200, "OK", body=body)
            self.state = State.TALKING

    async def write(self, pcm: bytes) -> bool:
        """Queue audio, 16-bit mono; waits while the other party holds the call."""
        return False if self.is_joined else await self.audio.write(pcm)

    def feed(self, pcm: Int16Array) -> None:
        """Send what comes from somebody else's telephone, at its own pace."""
        self.audio.feed(pcm.tobytes())

    async def drain(self) -> None:
        """Wait until everything written has left."""
        if not self.is_joined:
            await self.audio.drain()

    async def leave(self) -> None:
        """The conversation is over: hang up, unless the call goes on without us."""
        if not self.stays:
            await self.hang_up()

    async def press(self, keys: str) -> None:
        """Press keys; returns when the last is up.

        Raises:
            UnsupportedError: The peer knows no named events.
        """
        await self.audio.press(keys)

    async def hang_up(self) -> None:
        """End the call for both parties. Asked again, nothing happens."""
        if self.state is State.RINGING and self._invite is not None:
            self.reject(480, "Temporarily Unavailable")
        elif self.state is State.TALKING:
            self._agent.begin(self.dialog.request("BYE", self._agent.sent_by(self)), self)
        await self._close()

    def leave_conversation(self) -> None:
        """Stay on the line without the conversation held here, which ends."""
        self.stays = self.is_joined = True
        self._stop_recording()
        self.call.state = CallState.TRANSFERRED
        self._on_over()

    # What an agent may ask for besides.

    async def send_dtmf(self, digits: str) -> None:
        """Press keys; see `press`."""
        await self.press(digits)

    async def hold(self) -> None:
        """Put the other party on hold.

        Raises:
            RetryError: The peer is just changing the call itself, or refused.
        """
        await self._reinvite(sdp.Direction.SEND)

    async def resume(self) -> None:
        """Take the other party off hold.

        Raises:
            RetryError: The peer is just changing the call itself, or refused.
        """
        await self._reinvite(sdp.Direction.BOTH)

    async def transfer(self, to: str) -> None:
        """Hand the other party over to `to`, and leave once somebody has answered there.

        Raises:
            TransferError: The peer refused, or nobody answered; the call goes on.
        """
        self._require_talking()
        uri = self._agent.uri_of(to, self.peer)
        request = self.dialog.refer(uri, self._agent.sent_by(self))
        referral = self._referral = Referral(to)
        response = await self._agent.ask(request, self)
        if response is None or response.status >= 300:
            raise TransferError(f"the other telephone refused the transfer: {said(response)}")
        await referral.outcome()
        await self.hang_up()

    # What the user agent tells.

    def ring(self, invite: Asked) -> None:
        """An INVITE has come that begins this call.

        Raises:
            sdp.UnusableError: We cannot agree on its audio.
        """
        self._invite = invite
        self._offered = sdp.parse(invite.request.body) if invite.request.body else None
        self.audio.foresee(self._offered)
        self._take_terms()
        self._respond(invite, 180, "Ringing")

    def reject(self, status: int, reason: str, retry_after_s: int | None = None) -> None:
        """Refuse a call that rings; and say when to try again, if that is known."""
        if self.state is State.RINGING and self._invite is not None:
            self._respond(self._invite, status, reason, retry_after_s=retry_after_s)
            self._leave()

    def cancelled(self, branch: str) -> bool:
        """The caller gave up; whether that was this call's INVITE, and in time."""
        if self._invite is None or self._invite.key[0] != branch:
            return False
        self.reject(487, "Request Terminated")
        return True

    async def asked(self, asked: Asked) -> None:
        """A request has come inside the dialog."""
        request = asked.request
        if request.method == "ACK":
            self._acknowledged(request)
            return
        if not self.dialog.accepts(request):
            self._respond(asked, 500, "Out of Order")
            return
        match request.method:
            case "BYE":
                self._respond(asked, 200, "OK")
                if self._invite:
                    # Who hangs up before our 200 has come will never acknowledge it.
                    self._agent.settle(self._invite.key)
                await self._close()
            case "INVITE" | "UPDATE":
                await self._renegotiate(asked)
            case "INFO":
                key = from_info(request.headers.get("Content-Type") or "", request.body)
                self._respond(asked, 200, "OK")
                if key:
                    self._on_key(key)
            case "NOTIFY":
                self._respond(asked, 200, "OK")
                if self._referral:
                    self._referral.notified(request)
            case "REFER":
                # Who may be called from here is our operator's to say, not the caller's.
                self._respond(asked, 603, "Decline")
            case _:
                self._respond(asked, 405, "Method Not Allowed")

    def unacknowledged(self, key: Key) -> bool:
        """Our 200 was never acknowledged; whether it was this call's."""
        if self._invite is None or self._invite.key != key:
            return False
        logger.warning("call {}: the peer never acknowledged it", self.dialog.call_id)
        return True

    async def talking(self, body: bytes) -> None:
        """The peer has answered our call.

        Raises:
            sdp.UnusableError: We cannot agree on its audio.
        """
        self._answered(body)
        self.state = State.TALKING

    async def offer(self) -> bytes:
        """Describe the audio we want, for a call of ours.

        Raises:
            OSError: No port is free.
        """
        return await self._describe(None)

    async def abandon(self) -> None:
        """Our call was not taken."""
        await self._close()

    # How.

    async def _open_port(self) -> RtpSession:
        media = await self._agent.open_media(self)
        # Looked up when they are needed: a call of ours is connected after it is answered.
        media.on_audio = self._hear
        media.on_sent = self._sent
        media.on_key = lambda key: self._on_key(key)
        media.on_dead = self._on_dead
        return media

    async def _describe(self, offered: list[sdp.Medium] | None) -> bytes:
        body = await self.audio.describe(offered, self._agent.host_for(self))
        self._take_terms()
        return body

    def _answered(self, body: bytes) -> None:
        self.audio.answered(body)
        self._take_terms()

    def _take_terms(self) -> None:
        """Tell the agent's side of the call what its audio's terms are now."""
        self.call.is_held_by_peer = self.audio.terms.is_held_by_peer
        self.sample_rate = self.audio.sample_rate
        self.call.sound = Sound(self.sample_rate, DELAY_S)

    async def _renegotiate(self, asked: Asked) -> None:
        request = asked.request
        if self._is_reinviting and request.method == "INVITE":
            self._respond(asked, 491, "Request Pending")
            return
        try:
            self.dialog.refresh_target(request)
            if not request.body and request.method == "UPDATE":
                self._respond(asked, 200, "OK")
                return
            body = await self._describe(sdp.parse(request.body) if request.body else None)
        except (sdp.UnusableError, MalformedError) as error:
            # The call goes on as it was (RFC 3261 14.2).
            logger.info("call {}: a change was refused: {}", self.dialog.call_id, error)
            self._respond(asked, 488, "Not Acceptable Here")
            return
        if request.method == "INVITE":
            self._invite = asked
        self._respond(asked, 200, "OK", body=body)

    async def _reinvite(self, ours: sdp.Direction) -> None:
        self._require_talking()
        before, self.audio.terms.ours, self._is_reinviting = self.audio.terms.ours, ours, True
        try:
            request = self.dialog.request("INVITE", self._agent.sent_by(self))
            describe(request, await self._describe(None))
            response = await self._agent.ask(request, self)
            if response is None or response.status >= 300:
                raise RetryError(f"the other telephone refused the change: {said(response)}")
            self._answered(response.body)
        except (RetryError, sdp.UnusableError) as error:
            self.audio.terms.ours = before
            raise RetryError(str(error)) from error
        finally:
            self._is_reinviting = False

    def _acknowledged(self, request: Request) -> None:
        if self._invite is None or self.state is State.OVER:
            return
        self._agent.settle(self._invite.key)
        # Who offered nothing in the INVITE answers our offer here.
        if not self._invite.request.body and request.body:
            try:
                self._answered(request.body)
            except sdp.UnusableError as error:
                logger.warning("call {}: {}", self.dialog.call_id, error)
        if not self._is_acknowledged:
            self._is_acknowledged = True
            self._on_talking()

    def _on_dead(self) -> None:
        logger.warning("call {}: nothing heard from the peer for long", self.dialog.call_id)
        self._agent.spawn(self.hang_up())

    def _respond(
        self,
        asked: Asked,
        status: int,
        reason: str,
        *,
        body: bytes = b"",
        retry_after_s: int | None = None,
    ) -> None:
        response = self.dialog.response(asked.request, status, reason, body)
        if retry_after_s is not None:
            response.headers.add("Retry-After", str(retry_after_s))
        self._agent.respond(asked.key, response)

    def _require_talking(self) -> None:
        if self.state is not State.TALKING:
            raise TransferError("the call is over, or has not begun")

    async def _close(self) -> None:
        self._leave()
        await self.audio.close()

    def _leave(self) -> None:
        if self.state is not State.OVER:
            self.state = State.OVER
            if self._referral:
                self._referral.left()
            self._agent.forget(self)
            self._stop_recording()
            self.gone.set()
            self._on_over()
