"""A telephone call as an agent sees it, whatever brings it: a provider, SIP or Asterisk.

A channel makes the `Call`: it says what is known of the call (`CallFacts`), what can be done with
it (`Capabilities`), and does it (`CallControl`). Keys pressed by the caller are given to `pressed`,
and the end of the call to `ended`. The session binds its own end to it, so that a farewell is heard
before the line is cut.
"""

import asyncio
import re
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Protocol, cast

from agent.errors import DegradedError
from agent.transports.phone.dtmf import DigitEntry, Entry, EntryEnd


class UnsupportedError(DegradedError):
    """The channel cannot do what was asked; the conversation goes on without it."""


class NotAllowedError(DegradedError):
    """The destination is not on the list of those a call may be transferred to."""


class Direction(StrEnum):
    """Who called whom."""

    INBOUND = "inbound"
    OUTBOUND = "outbound"


class CallState(StrEnum):
    """Where a call stands."""

    TALKING = "talking"
    HELD = "held"
    TRANSFERRED = "transferred"
    ENDED = "ended"


@dataclass(frozen=True, slots=True)
class CallFacts:
    """What is known of a call. Numbers and headers are what the network says: never a proof.

    Attributes:
        id: The channel's own name of the call.
        channel: Such as ``twilio``, ``sip`` or ``audiosocket``.
        caller: Number or address of the calling party, where it is shown.
        called: Number or address that was called.
        direction: Who called whom.
        headers: What else came with the call: SIP ``X-`` headers, stream parameters.
    """

    id: str
    channel: str
    caller: str | None = None
    called: str | None = None
    direction: Direction = Direction.INBOUND
    headers: Mapping[str, str] = field(default_factory=dict)

    def description(self) -> str:
        """What a language model is told of the call.

        Headers are left out: what a stranger can write there is no instruction.
        """
        who = {"calling from": self.caller, "the number called is": self.called}
        known = [f"{what} {value}" for what, value in who.items() if value and _is_number(value)]
        call = "You made this" if self.direction is Direction.OUTBOUND else "You answer a"
        return f"{call} telephone call{', ' if known else ''}{', '.join(known)}."


def _is_number(text: str) -> bool:
    """Whether it is a telephone number or a SIP address, and nothing to be read as words."""
    return (
        re.fullmatch(r"(sips?:)?\+?[A-Za-z0-9._-]{1,40}(@[A-Za-z0-9.:_-]{1,60})?", text) is not None
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Capabilities:
    """What a channel can do with a call.

    Attributes:
        clear: Empty what the peer has not yet played.
        mark: Say what the peer has played. Without it, that is estimated.
        dtmf_in: Tell which keys the other party presses.
        dtmf_out: Press keys.
        transfer: Hand the call to another destination.
        consult: Call somebody else meanwhile, and put the two through.
        hold: Tell the peer that it is on hold.
        record: Give both directions' audio to a recording.
    """

    clear: bool = False
    mark: bool = False
    dtmf_in: bool = False
    dtmf_out: bool = False
    transfer: bool = False
    consult: bool = False
    hold: bool = False
    record: bool = False


@dataclass(frozen=True, slots=True)
class Sound:
    """The agent's audio on the wire.

    Attributes:
        sample_rate: In Hz.
        delay_s: From a packet's leaving us to its sounding, where the peer does not say.
    """

    sample_rate: int = 8_000
    delay_s: float = 0.15


Consult = Callable[[str, str], Awaitable[None]]
"""Calls a destination, tells a briefing, and joins the two if the call is taken."""


class CallControl(Protocol):
    """What a channel does with its call. A method is asked only for what the channel can do."""

    async def hang_up(self) -> None:
        """End the call for both parties. Asked again, nothing happens."""

    async def transfer(self, to: str) -> None:
        """Hand the call over; on return the other party is being connected."""

    async def send_dtmf(self, digits: str) -> None:
        """Press keys, one after the other."""

    async def hold(self) -> None:
        """Put the other party on hold."""

    async def resume(self) -> None:
        """Take the other party off hold."""


class Company(Protocol):
    """What a conversation does for a caller who waits."""

    async def begin(self) -> None:
        """Play music, and let the agent neither hear nor speak."""

    async def end(self) -> None:
        """Go on with the conversation."""


class Recorder(Protocol):
    """A control that can keep what is said."""

    async def record(self) -> Path:
        """Record from now on; where."""


@dataclass(slots=True, eq=False)
class Call:
    """One telephone call.

    Attributes:
        facts: What is known of it.
        capabilities: What its channel can do.
        control: Does it.
        sound: The agent's audio on the wire.
        transfer_to: The only destinations it may be transferred to.
        is_held_by_peer: Whether the other party has put us on hold.
        hears_secret: Whether what is said now is for nobody but who asked.
    """

    facts: CallFacts
    capabilities: Capabilities
    control: CallControl
    sound: Sound = field(default_factory=Sound)
    transfer_to: frozenset[str] = frozenset()
    state: CallState = CallState.TALKING
    is_held_by_peer: bool = False
    hears_secret: bool = False
    over: asyncio.Event = field(default_factory=asyncio.Event)
    _entry: DigitEntry | None = None
    _key_pressed: asyncio.Event = field(default_factory=asyncio.Event)
    _finish: Callable[[], Awaitable[None]] | None = None
    _on_key: Callable[[str], None] | None = None
    _company: Company | None = None
    _consult: Consult | None = None

    @property
    def is_waiting(self) -> bool:
        """Whether either side has put the other on hold."""
        return self.state is CallState.HELD or self.is_held_by_peer

    @property
    def is_entering(self) -> bool:
        """Whether keys are waited for."""
        return self._entry is not None

    @property
    def is_secret(self) -> bool:
        """Whether what the other party says or presses now is to be kept nowhere."""
        return self.hears_secret or self.is_entering

    def bind(
        self,
        *,
        finish: Callable[[], Awaitable[None]],
        on_key: Callable[[str], None] | None = None,
        company: Company | None = None,
        consult: Consult | None = None,
    ) -> None:
        """Tie the call to its conversation.

        Args:
            finish: Ends the conversation once what is being said has been heard.
            on_key: Told of keys pressed while no entry is asked for.
            company: Keeps the other party company while it waits.
            consult: Asks somebody whether they take the call, and puts the two through.
        """
        self._finish, self._on_key = finish, on_key
        self._company, self._consult = company, consult

    async def hang_up(self) -> None:
        """End the call, after what is being said has been heard to its end."""
        if self._finish:
            await self._finish()
        else:
            await self.control.hang_up()

    async def transfer(self, to: str, *, briefing: str = "") -> None:
        """Hand the call to `to`.

        Args:
            to: Number or address.
            briefing: What the person there is told before they take the call or do not; the other
                party hears music meanwhile. Empty: it is handed over at once.

        Raises:
            UnsupportedError: The channel cannot transfer, or not so.
            NotAllowedError: `to` is not on the list.
            DuplexError: Nobody took the call there; it goes on here.
        """
        self._require(self.capabilities.transfer, "transfer a call")
        if to not in self.transfer_to:
            raise NotAllowedError(
                f"{to!r} is not a destination calls may be transferred to; add it to "
                "phone.transfer_to"
            )
        if not briefing:
            await self.control.transfer(to)
            self.state = CallState.TRANSFERRED
            return
        # Who is put through leaves this conversation at once: nothing is left to say here.
        if not self.capabilities.consult or self._consult is None:
            raise UnsupportedError(f"{self.facts.channel} cannot ask first; leave out the briefing")
        await self.hold()
        try:
            await self._consult(to, briefing)
        finally:
            await self.resume()

    async def send_dtmf(self, digits: str) -> None:
        """Press keys.

        Raises:
            UnsupportedError: The channel cannot press keys.
            ValueError: Something else than ``0-9*#A-D``.
        """
        self._require(self.capabilities.dtmf_out, "press keys")
        if not digits or set(digits) - set("0123456789*#ABCD"):
            raise ValueError("keys are 0 to 9, *, # and A to D")
        await self.control.send_dtmf(digits)

    async def hold(self) -> None:
        """Put the other party on hold: it hears music, and the agent hears nothing.

        Raises:
            UnsupportedError: The channel has no hold, and no conversation is there to play music.
        """
        self._require(self.capabilities.hold or self._company is not None, "hold a call")
        if self.state is not CallState.TALKING:
            return
        if self.capabilities.hold:
            await self.control.hold()
        self.state = CallState.HELD
        if self._company:
            await self._company.begin()

    async def resume(self) -> None:
        """Take the other party off hold."""
        if self.state is not CallState.HELD:
            return
        if self._company:
            await self._company.end()
        if self.capabilities.hold:
            await self.control.resume()
        self.state = CallState.TALKING

    async def record(self, *, consented: bool) -> Path:
        """Keep what both say, from now until the line is cut.

        Args:
            consented: Whether both parties have agreed, as law demands in many places.

        Returns:
            The file: 16-bit WAV, the caller left, the agent right.

        Raises:
            UnsupportedError: The channel does not record, or it is not allowed to.
            NotAllowedError: Nobody has consented.
        """
        self._require(self.capabilities.record, "record: set phone.recordings to a directory")
        if not consented:
            raise NotAllowedError("ask first, and record only with consent")
        return await cast(Recorder, self.control).record()

    async def collect_digits(
        self,
        count: int,
        *,
        finish: str = "#",
        timeout_s: float = 10.0,
        first_s: float | None = 10.0,
        on_first: Callable[[], None] = lambda: None,
    ) -> Entry:
        """Wait for keys; those pressed meanwhile are seen by nobody else.

        Args:
            count: Digits at most.
            finish: Key that ends the entry early; empty for none.
            timeout_s: Longest wait for each further key.
            first_s: Longest wait for the first one; None for ever.
            on_first: Told of the first one.

        Returns:
            What was entered, and why the entry ended.

        Raises:
            UnsupportedError: The channel does not tell keys.
        """
        self._require(self.capabilities.dtmf_in, "tell which keys are pressed")
        entry = self._entry = DigitEntry(count, finish=finish)
        try:
            await asyncio.wait_for(self._next_key(), first_s)
            on_first()
            while entry.end is None:
                await asyncio.wait_for(self._next_key(), timeout_s)
        except TimeoutError:
            entry.give_up(EntryEnd.TIMEOUT)
        finally:
            self._entry = None
        return entry.result()

    async def _next_key(self) -> None:
        self._key_pressed.clear()
        await self._key_pressed.wait()

    def pressed(self, key: str) -> None:
        """The other party has pressed a key. Never log it: it may be of a card number."""
        if self._entry:
            self._entry.push(key)
            self._key_pressed.set()
        elif self._on_key:
            self._on_key(key)

    def ended(self) -> None:
        """The call is over, whoever ended it."""
        if self.state is not CallState.TRANSFERRED:
            self.state = CallState.ENDED
        self.over.set()
        if self._entry:
            self._entry.give_up(EntryEnd.CALL_OVER)
            self._key_pressed.set()

    def _require(self, able: bool, what: str) -> None:
        if not able:
            raise UnsupportedError(f"{self.facts.channel} cannot {what}")
