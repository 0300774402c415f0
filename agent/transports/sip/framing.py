"""SIP messages cut out of a stream of bytes (RFC 3261 section 18.3). Pure."""

import re

from agent.transports.sip.message import MalformedError

_LONGEST = 65_536
_LENGTH = re.compile(rb"^(?:content-length|l)[ \t]*:[ \t]*(\d{1,6})[ \t]*$", re.IGNORECASE | re.M)


class Framer:
    """Collects bytes until a message is complete. Pure."""

    def __init__(self) -> None:
        self._waiting = b""
        self.pings = 0
        """Empty lines that ask for a sign of life (RFC 5626 3.5.1), since this was last reset."""

    def push(self, data: bytes) -> list[bytes]:
        """Take what came.

        Returns:
            Messages that are now complete.

        Raises:
            MalformedError: No message can follow any more; the connection is of no use.
        """
        self._waiting += data
        messages = []
        while (message := self._next()) is not None:
            messages.append(message)
        return messages

    def _next(self) -> bytes | None:
        bare = self._waiting.lstrip(b"\r\n")
        self.pings += self._waiting[: len(self._waiting) - len(bare)].count(b"\r\n\r\n")
        if bare:
            self._waiting = bare
        elif len(self._waiting) > 2:
            self._waiting = b""
        head, gap, rest = bare.partition(b"\r\n\r\n")
        if not gap:
            if len(bare) > _LONGEST:
                raise MalformedError("a message without an end")
            return None
        declared = _LENGTH.search(head.replace(b"\r", b""))
        if declared is None:
            raise MalformedError("a message on a connection without Content-Length")
        length = int(declared[1])
        if length > _LONGEST:
            raise MalformedError(f"a body of {length} bytes")
        if len(rest) < length:
            return None
        self._waiting = rest[length:]
        return head + gap + rest[:length]
