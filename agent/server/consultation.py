"""A warm transfer: somebody is called, told who waits, and asked whether they take the call."""

import asyncio
import datetime
from dataclasses import dataclass
from typing import Protocol

from loguru import logger
from pipecat.transports.base_transport import BaseTransport

from agent.agent import Agent
from agent.conversation import Conversation
from agent.errors import DegradedError, DuplexError, RetryError
from agent.flow import End, Flow
from agent.server.sessions import Sessions
from agent.transports.line import LineTransport
from agent.transports.phone.call import Call, CallState
from agent.transports.sip.agent import CallRefusedError, UserAgent
from agent.transports.sip.bridge import join
from agent.transports.sip.call import SipCall
from agent.transports.sip.dialog import State
from agent.values import BRIEF, Expects, NotUnderstoodError, YesNo

_RING_S = 25.0
"""The caller listens to music meanwhile."""

_REFUSALS = {
    404: "there is no such number",
    408: "nobody answered",
    480: "nobody can be reached there now",
    486: "the line is busy",
    487: "the call was given up",
    600: "the line is busy",
    603: "the call was declined",
}


class NotTakenError(DegradedError):
    """Nobody took the call; it goes on where it was."""


async def place(agent: UserAgent, uri: str, ring_s: float) -> SipCall:
    """Call; return once somebody has answered.

    Raises:
        RetryError: Nobody did, with the reason in words.
    """
    try:
        async with asyncio.timeout(ring_s):
            return await agent.invite(uri)
    except TimeoutError:
        raise RetryError(f"nobody answered at {uri} within {ring_s:g} s") from None
    except CallRefusedError as error:
        why = _REFUSALS.get(error.status)
        raise RetryError(f"{uri}: {why}" if why else f"{uri}: {error}") from error


class Colleague(Protocol):
    """Somebody who was called, and is told what it is about before the two are joined.

    Attributes:
        call: As the agent sees it.
        transport: To talk with them.
        stays: Whether the call goes on when our conversation with them is over.
    """

    call: Call
    transport: BaseTransport
    stays: bool

    @property
    def is_gone(self) -> bool:
        """Whether they have hung up, as far as we know."""

    async def leave(self) -> None:
        """Our conversation is over: hang up, unless the call goes on."""

    async def hang_up(self) -> None:
        """End their call."""


class Switchboard(Protocol):
    """Calls others for one caller, on the caller's channel."""

    async def place(self, to: str) -> Colleague:
        """Call; return once somebody has answered.

        Raises:
            RetryError: Nobody did, with the reason in words.
        """

    async def join(self, colleague: Colleague) -> None:
        """Let the caller and a colleague talk with each other, and the conversation here end.

        Raises:
            DuplexError: That failed; the conversation goes on.
        """


class Consultation:
    """Puts a caller through to somebody who was asked first.

    Args:
        sessions: Where the one who is asked is talked to, in a place of its own.
        switchboard: Calls them.
        caller: Who waits.
    """

    def __init__(self, sessions: Sessions, switchboard: Switchboard, caller: Call) -> None:
        self._sessions, self._switchboard, self._caller = sessions, switchboard, caller
        self._colleague: Colleague | None = None

    async def __call__(self, to: str, briefing: str) -> None:
        """Call `to`, tell them `briefing`, and join the two if they want.

        Raises:
            NotTakenError: Busy, no answer, a machine, a no, no place to talk to them, or the
                caller has hung up meanwhile.
        """
        asking = asyncio.create_task(self._ask(to, briefing), name="consultation")
        gone = asyncio.create_task(self._caller.over.wait())
        try:
            await asyncio.wait({asking, gone}, return_when=asyncio.FIRST_COMPLETED)
            # Put through, the caller's conversation is over as well.
            if not asking.done() and self._caller.state is not CallState.TRANSFERRED:
                await self._give_up(asking)
                raise NotTakenError("the caller hung up")
            await asking
        finally:
            gone.cancel()

    async def _ask(self, to: str, briefing: str) -> None:
        phone = self._sessions.settings.phone.model_copy(update={"voicemail": ""})
        try:
            self._sessions.require_place()
            colleague = self._colleague = await self._switchboard.place(to)
            try:
                await self._sessions.run_call(
                    colleague.transport,
                    colleague.call,
                    agent=_messenger(briefing, colleague),
                    phone=phone,
                )
            finally:
                await colleague.leave()
            if not colleague.stays or colleague.is_gone:
                raise NotTakenError(f"nobody at {to} took the call")
            await self._caller.resume()
            await self._switchboard.join(colleague)
        except NotTakenError:
            raise
        except DuplexError as error:
            raise NotTakenError(str(error)) from error
        logger.info("the caller is put through")

    async def _give_up(self, asking: "asyncio.Task[None]") -> None:
        """Let go who was called: a conversation ends by itself once its line does."""
        if self._colleague is None:
            asking.cancel()
        else:
            await self._colleague.hang_up()
        await asyncio.gather(asking, return_exceptions=True)


class SipSwitchboard:
    """Calls by SIP, and joins two calls here.

    Args:
        agent: Calls.
        caller: Who waits.
    """

    def __init__(self, agent: UserAgent, caller: SipCall) -> None:
        self._agent, self._caller = agent, caller

    async def place(self, to: str) -> "SipColleague":
        """Call; see `place`."""
        uri = self._agent.uri_of(to, self._caller.peer)
        return SipColleague(await place(self._agent, uri, _RING_S))

    async def join(self, colleague: Colleague) -> None:
        """Let their audio pass through here."""
        assert isinstance(colleague, SipColleague)
        join(self._caller, colleague.line)


class SipColleague:
    """Somebody who was called by SIP."""

    def __init__(self, line: SipCall) -> None:
        self.line, self.call = line, line.call
        self.transport: BaseTransport = LineTransport(line)

    @property
    def stays(self) -> bool:
        """Whether the call goes on when our conversation with them is over."""
        return self.line.stays

    @stays.setter
    def stays(self, stays: bool) -> None:
        self.line.stays = stays

    @property
    def is_gone(self) -> bool:
        """Whether they have hung up."""
        return self.line.state is State.OVER

    async def leave(self) -> None:
        """Our conversation is over: hang up, unless the call goes on."""
        await self.line.leave()

    async def hang_up(self) -> None:
        """End their call."""
        await self.line.hang_up()


@dataclass(frozen=True, slots=True)
class _TakeIt:
    """A yes, or the key 1."""

    expects: Expects = BRIEF

    def read(self, heard: str, today: datetime.date) -> bool:
        """Whether the call is taken."""
        if "pressed" in heard:
            return "pressed 1 " in heard
        try:
            return YesNo().read(heard, today)
        except NotUnderstoodError:
            raise NotUnderstoodError("Please say yes or no, or press one.") from None


def _messenger(briefing: str, colleague: Colleague) -> Agent:
    """Who talks to the colleague: one question, and no language model."""
    flow: Flow[Colleague] = Flow(lambda: colleague)

    @flow.step
    async def ask(talk: Conversation[Colleague]) -> End:
        taken = await talk.collect(f"{briefing} Will you take the call?", _TakeIt())
        if not taken:
            return End("I'll tell them. Goodbye.")
        talk.state.stays = True
        return End("I'll put you through.")

    return Agent(flow=flow)
