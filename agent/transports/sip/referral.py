"""A transfer under way: the other telephone was asked to call somebody (RFC 3515)."""

import asyncio

from agent.errors import DegradedError
from agent.transports.sip.message import Request, Response

_RING_S = 30.0
"""How long the destination may ring."""


class TransferError(DegradedError):
    """The other party could not be transferred; the call goes on."""


class Referral:
    """Waits for what becomes of the call that the other telephone makes.

    Args:
        to: Whom it calls.
    """

    def __init__(self, to: str) -> None:
        self._to = to
        self._status: asyncio.Future[int] = asyncio.get_running_loop().create_future()

    async def outcome(self) -> None:
        """Return once somebody has answered there.

        Raises:
            TransferError: Nobody did.
        """
        try:
            status = await asyncio.wait_for(self._status, _RING_S)
        except TimeoutError:
            raise TransferError(f"nobody answered at {self._to} within {_RING_S:.0f} s") from None
        if status >= 300:
            raise TransferError(f"{self._to} could not be reached: {status}")

    def notified(self, request: Request) -> None:
        """Take a NOTIFY: the status line of the call that was made."""
        if (status := status_of(request.body)) and status >= 200:
            self._settle(status)

    def left(self) -> None:
        """The other telephone has hung up: some do, once they talk there, and report nothing."""
        self._settle(200)

    def _settle(self, status: int) -> None:
        if not self._status.done():
            self._status.set_result(status)


def status_of(body: bytes) -> int | None:
    """The status in a status line; None if there is none. Pure."""
    words = body[:200].decode("ascii", "replace").split()
    return int(words[1][:9]) if len(words) >= 2 and words[1].isdecimal() else None


def said(response: Response | None) -> str:
    """What another telephone answered, in words."""
    return f"{response.status} {response.reason}" if response else "no answer"
