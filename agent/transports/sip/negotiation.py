"""What one call has agreed on about its audio, offer by offer (RFC 3264). Pure."""

from agent.transports.sip import sdp
from agent.transports.sip.addresses import Address
from agent.transports.sip.codecs import G711
from agent.transports.sip.sdes import Security


class Negotiation:
    """Our side of a call's offers and answers. Pure.

    Args:
        security: What we do about encryption.
        usable: Codecs we have.

    Attributes:
        agreement: The last one; None before the first.
        ours: Who is to send, as far as we decide it.
        usable: Codecs we have.
    """

    def __init__(self, security: Security, usable: tuple[str, ...] = G711) -> None:
        self.agreement: sdp.Agreement | None = None
        self.ours = sdp.Direction.BOTH
        self.usable = usable
        self._security = security
        self._version = 0

    @property
    def is_held_by_peer(self) -> bool:
        """Whether the other party has put us on hold."""
        agreement = self.agreement
        is_muted = agreement is not None and not agreement.may_send
        return is_muted and self.ours is sdp.Direction.BOTH

    @property
    def key(self) -> bytes:
        """Ours, where audio is encrypted; else empty."""
        return self._security.key if self.agreement and self.agreement.crypto else b""

    def foreseen(self, offered: list[sdp.Medium]) -> sdp.Agreement:
        """What an offer will lead to, before it is answered.

        Raises:
            sdp.UnusableError: We cannot agree to it.
        """
        return sdp.agree(offered, security=self._security, usable=self.usable)

    def offer(self, local: Address) -> bytes:
        """Describe the audio we want, received at `local`."""
        self._version += 1
        agreement = self.agreement
        # Once on G.711, we stay on it; Opus may have to give way, as to a gateway behind.
        is_g711 = agreement is not None and agreement.codec in G711
        usable = (agreement.codec,) if agreement and is_g711 else self.usable
        encrypts = agreement.crypto is not None if agreement else self._security.must
        key = self._security.key if encrypts else b""
        return sdp.offer(local, self._version, direction=self.ours, usable=usable, key=key)

    def answer(self, offered: list[sdp.Medium], local: Address) -> bytes:
        """Agree to an offer, and say so.

        Raises:
            sdp.UnusableError: There is nothing in common.
        """
        self._version += 1
        agreement = sdp.agree(offered, ours=self.ours, security=self._security, usable=self.usable)
        self.agreement = agreement
        return sdp.answer(offered, agreement, local, self._version, self._security)

    def answered(self, body: bytes) -> None:
        """Take the answer to our offer.

        Raises:
            sdp.UnusableError: There is nothing in common.
        """
        self.agreement = sdp.agree(
            sdp.parse(body), ours=self.ours, security=self._security, usable=self.usable
        )
