"""A warm transfer: somebody is called, told who waits, and asked whether they take the call."""

import asyncio
import datetime
from dataclasses import dataclass

from loguru import logger

from agent.agent import Agent
from agent.conversation import Conversation
from agent.errors import DegradedError, DuplexError, RetryError
from agent.flow import End, Flow
from agent.server.sessions import Sessions
from agent.transports.line import LineTransport
from agent.transports.sip.agent import CallRefusedError, UserAgent
from agent.transports.sip.bridge import join
from agent.transports.sip.call import SipCall, State
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


class Consultation:
    """Puts a caller through to somebody who was asked first.

    Args:
        sessions: Where the one who is asked is talked to, in a place of its own.
        agent: Calls them.
        caller: Who waits.
    """

    def __init__(self, sessions: Sessions, agent: UserAgent, caller: SipCall) -> None:
        self._sessions, self._agent, self._caller = sessions, agent, caller
        self._colleague: SipCall | None = None

    async def __call__(self, to: str, briefing: str) -> None:
        """Call `to`, tell them `briefing`, and join the two if they want.

        Raises:
            NotTakenError: Busy, no answer, a machine, a no, no place to talk to them, or the
                caller has hung up meanwhile.
        """
        asking = asyncio.create_task(self._ask(to, briefing), name="consultation")
        gone = asyncio.create_task(self._caller.call.over.wait())
        try:
            await asyncio.wait({asking, gone}, return_when=asyncio.FIRST_COMPLETED)
            if not asking.done():
                await self._give_up(asking)
                raise NotTakenError("the caller hung up")
            await asking
        finally:
            gone.cancel()

    async def _ask(self, to: str, briefing: str) -> None:
        phone = self._sessions.settings.phone.model_copy(update={"voicemail": ""})
        try:
            self._sessions.require_place()
            uri = self._agent.uri_of(to, self._caller.peer)
            colleague = self._colleague = await place(self._agent, uri, _RING_S)
            try:
                await self._sessions.run_call(
                    LineTransport(colleague),
                    colleague.call,
                    agent=_messenger(briefing, colleague),
                    phone=phone,
                )
            finally:
                await colleague.leave()
        except DuplexError as error:
            raise NotTakenError(str(error)) from error
        if not colleague.stays or colleague.state is State.OVER:
            raise NotTakenError(f"nobody at {to} took the call")
        await self._caller.call.resume()
        join(self._caller, colleague)
        logger.info("the caller is put through")

    async def _give_up(self, asking: "asyncio.Task[None]") -> None:
        """Let go who was called: a conversation ends by itself once its line does."""
        if self._colleague is None:
            asking.cancel()
        else:
            await self._colleague.hang_up()
        await asyncio.gather(asking, return_exceptions=True)


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


def _messenger(briefing: str, colleague: SipCall) -> Agent:
    """Who talks to the colleague: one question, and no language model."""
    flow: Flow[SipCall] = Flow(lambda: colleague)

    @flow.step
    async def ask(talk: Conversation[SipCall]) -> End:
        taken = await talk.collect(f"{briefing} Will you take the call?", _TakeIt())
        if not taken:
            return End("I'll tell them. Goodbye.")
        talk.state.stays = True
        return End("I'll put you through.")

    return Agent(flow=flow)
