"""One call's audio: what was agreed on about it, and the port that it goes through."""

from collections.abc import Awaitable, Callable

from agent.transports.phone.call import UnsupportedError
from agent.transports.sip import sdp
from agent.transports.sip.codecs import G711
from agent.transports.sip.coding import line_rate
from agent.transports.sip.g711 import SAMPLE_RATE
from agent.transports.sip.media import RtpSession
from agent.transports.sip.negotiation import Negotiation


class CallAudio:
    """Audio of a call, from the first offer on.

    Args:
        terms: Of this call.
        open_port: Takes a port for it, when it is first needed.
        peer_host: Where the peer's signalling came from.

    Attributes:
        terms: Offers and answers so far.
        media: Its port; None before the first offer and after the end.
        sample_rate: Of the line, in Hz; decided by the first agreement.
    """

    def __init__(
        self,
        terms: Negotiation,
        open_port: Callable[[], Awaitable[RtpSession]],
        peer_host: str,
    ) -> None:
        self.terms = terms
        self.media: RtpSession | None = None
        self.sample_rate = SAMPLE_RATE
        self._open_port = open_port
        self._peer_host = peer_host

    def foresee(self, offered: list[sdp.Medium] | None) -> None:
        """Look at an offer that is answered later, or learn that there is none.

        Raises:
            sdp.UnusableError: We cannot agree to it.
        """
        if offered is None:
            # The line's rate has to be known now, and the answer comes last.
            self.terms.usable = G711
        else:
            self.sample_rate = line_rate(self.terms.foreseen(offered))

    async def describe(self, offered: list[sdp.Medium] | None, host: str) -> bytes:
        """Open the port and describe it: an answer to an offer, or an offer if there is none.

        Args:
            offered: The peer's.
            host: Ours, as the peer reaches it.

        Raises:
            sdp.UnusableError: There is nothing in common.
            OSError: No port is free.
        """
        if self.media is None:
            self.media = await self._open_port()
        local = (host, self.media.port)
        if offered is None:
            return self.terms.offer(local)
        body = self.terms.answer(offered, local)
        self._agreed()
        return body

    def answered(self, body: bytes) -> None:
        """Take the answer to our offer.

        Raises:
            sdp.UnusableError: There is nothing in common.
        """
        self.terms.answered(body)
        self._agreed()

    async def write(self, pcm: bytes) -> bool:
        """Queue audio; waits while the other party holds the call. False once it is over."""
        out = self.media.out if self.media else None
        return await out.write(pcm) if out else False

    def feed(self, pcm: bytes) -> None:
        """Send audio that comes at its own pace."""
        if self.media and self.media.out:
            self.media.out.feed(pcm)

    async def drain(self) -> None:
        """Wait until everything written has left."""
        if self.media and self.media.out:
            await self.media.out.drain()

    async def press(self, keys: str) -> None:
        """Press keys; returns when the last is up.

        Raises:
            UnsupportedError: The peer knows no named events.
        """
        agreement = self.terms.agreement
        if self.media is None or agreement is None or agreement.event_type is None:
            raise UnsupportedError("the other telephone does not understand keys in RTP")
        await self.media.press(keys)

    async def close(self) -> None:
        """Give the port back."""
        media, self.media = self.media, None
        if media:
            await media.close()

    def _agreed(self) -> None:
        agreement, media = self.terms.agreement, self.media
        assert media is not None and agreement is not None
        if media.out is None:
            self.sample_rate = line_rate(agreement)
        media.agree(agreement, self._peer_host, self.terms.key)
