"""A warm transfer over a provider: both parties meet in a room of the provider's."""

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial

from pipecat.transports.base_transport import BaseTransport

from agent.errors import DuplexError, RetryError
from agent.server.consultation import Colleague
from agent.transports.phone.call import Call, Direction
from agent.transports.phone.rest import RING_S, Rest
from agent.transports.phone.transport import PhoneTransport

_POLL_S = 1.0
"""How often the provider is asked whether somebody is busy; who answers is seen at once."""

_OVER = {
    "busy": "the line is busy",
    "no-answer": "nobody answered",
    "unanswered": "nobody answered",
    "timeout": "nobody answered",
    "rejected": "the call was declined",
    "canceled": "the call was given up",
    "cancelled": "the call was given up",
    "failed": "there is no such number",
    "completed": "they hung up",
}
"""Calls that are over, in the words of every provider."""


@dataclass(frozen=True, slots=True)
class Expected:
    """A call of ours that somebody may answer.

    Attributes:
        url: Where the provider asks what to do then.
        transport: Its stream, once it is there.
    """

    url: str
    transport: "asyncio.Future[PhoneTransport]"


class Conference:
    """Calls others for one caller, and sends both into one room. A `Switchboard`.

    Args:
        rest: The provider's requests.
        expect: Makes an address for one call.
        caller: Who waits.
    """

    def __init__(
        self,
        rest: Rest,
        expect: Callable[[], Expected],
        caller: PhoneTransport,
    ) -> None:
        self._rest, self._expect, self._caller = rest, expect, caller
        # Rooms are the account's: nobody guesses his way into one.
        self._room = f"duplex{secrets.token_hex(16)}"

    async def place(self, to: str) -> "Met":
        """Call; return once somebody has answered.

        Raises:
            RetryError: Nobody did, with the reason in words.
        """
        facts = self._caller.call.facts
        ours = facts.called if facts.direction is Direction.INBOUND else facts.caller
        if not ours:
            raise RetryError("the provider did not say which number of ours was called")
        expected = self._expect()
        call_id = ""
        try:
            call_id = await self._rest.call(to, ours, expected.url)
            transport = await self._answered(call_id, expected, to)
        except BaseException:
            expected.transport.cancel()
            if call_id:
                await self._rest.hang_up(call_id)
            raise
        return Met(transport, self._rest, self._room)

    async def join(self, colleague: Colleague) -> None:
        """Send the caller into the room where the colleague waits.

        Raises:
            DuplexError: That failed; the colleague is hung up on.
        """
        assert isinstance(colleague, Met)
        # Beforehand: the caller's stream may end before the provider's answer is here.
        self._caller.hand_over()
        try:
            if (status := await self._rest.status(colleague.call_id)) in _OVER:
                raise RetryError(_OVER[status])
            await self._rest.meet(self._caller.call.facts.id, self._room)
        except DuplexError:
            self._caller.take_back()
            await self._rest.hang_up(colleague.call_id)
            raise
        await self._caller.leave_conversation()

    async def _answered(self, call_id: str, expected: Expected, to: str) -> PhoneTransport:
        try:
            async with asyncio.timeout(RING_S + 5):
                while not expected.transport.done():
                    await asyncio.wait({expected.transport}, timeout=_POLL_S)
                    if not expected.transport.done():
                        status = await self._rest.status(call_id)
                        if status in _OVER:
                            raise RetryError(f"{to}: {_OVER[status]}")
        except TimeoutError:
            raise RetryError(f"nobody answered at {to} within {RING_S} s") from None
        return expected.transport.result()


class Met:
    """Somebody who was called through a provider. A `Colleague`.

    When our conversation is over they go into the room, if they stay.
    """

    def __init__(self, transport: PhoneTransport, rest: Rest, room: str) -> None:
        self._phone, self._rest = transport, rest
        self.call_id = transport.call.facts.id
        transport.moves_on = partial(rest.meet, self.call_id, room)
        self.call: Call = transport.call
        self.transport: BaseTransport = transport

    @property
    def stays(self) -> bool:
        """Whether the call goes on when our conversation with them is over."""
        return self._phone.stays

    @stays.setter
    def stays(self, stays: bool) -> None:
        self._phone.stays = stays

    @property
    def is_gone(self) -> bool:
        """Not known here: the provider is asked before the two are joined."""
        return False

    async def leave(self) -> None:
        """Our conversation is over: close the stream, and the call unless it goes on."""
        await self._phone.hang_up()

    async def hang_up(self) -> None:
        """End their call, wherever it is."""
        waits_in_room, self._phone.stays = self._phone.stays, False
        await self._phone.hang_up()
        await self._phone.leave_conversation()
        if waits_in_room:
            await self._rest.hang_up(self.call_id)
