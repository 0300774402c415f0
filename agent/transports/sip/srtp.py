"""Encrypted audio (RFC 3711), by libsrtp."""

import importlib.util

IS_INSTALLED = importlib.util.find_spec("pylibsrtp") is not None
"""Whether the extra ``srtp`` is there."""


class Srtp:
    """Both directions of one call.

    Args:
        ours: Master key and salt of what we send.
        theirs: Of what they send.
    """

    def __init__(self, ours: bytes, theirs: bytes) -> None:
        from pylibsrtp import Error, Policy, Session

        profile = Policy.SRTP_PROFILE_AES128_CM_SHA1_80
        self._error = Error
        self._out = Session(Policy(ours, Policy.SSRC_ANY_OUTBOUND, srtp_profile=profile))
        self._in = Session(Policy(theirs, Policy.SSRC_ANY_INBOUND, srtp_profile=profile))
        self.keys = (ours, theirs)

    def protect(self, packet: bytes) -> bytes:
        """Encrypt an RTP packet."""
        protected: bytes = self._out.protect(packet)
        return protected

    def unprotect(self, packet: bytes) -> bytes | None:
        """Decrypt one; None if it is not theirs, was changed, or came twice."""
        try:
            clear: bytes = self._in.unprotect(packet)
        except (self._error, ValueError, TypeError):
            return None
        return clear
