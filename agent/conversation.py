"""What a tool or a step of a flow can do in a running conversation.

Tools, flows and confirmations stand on two acts, `say` and `listen`. The session does them by
voice; a test can do them with text.
"""

import asyncio
import datetime
from dataclasses import replace
from typing import Any, Generic, Protocol, TypeVar

from loguru import logger

from agent.errors import DegradedError

# What tools and steps see of a telephone call.
from agent.transports.phone.call import Call as Call
from agent.transports.phone.dtmf import Entry, EntryEnd
from agent.values import OPEN, Answer, Digits, Expects, NotUnderstoodError, YesNo

State = TypeVar("State")
Value = TypeVar("Value")

PATIENCE_S = 8.0
"""Silence after a question before it is asked again. People answer in one or two seconds; finding
a card or a pen takes longer."""

RETRIES = 2

KEY_PATIENCE_S = 5.0
"""Between two keys of a number. People look for the next digit on a card."""


class Floor(Protocol):
    """The two sides of a conversation, as a step sees them."""

    async def say(self, text: str, *, more_follows: bool = False) -> None:
        """Speak after what is already being said.

        Args:
            text: The line.
            more_follows: It only bridges the time until something is said that belongs to it.
        """
        ...

    async def listen(self, patience_s: float, expects: Expects) -> str | None:
        """Return the caller's next turn, which the language model then does not answer.

        Args:
            patience_s: Silence after which to give up.
            expects: How it is likely to be spoken, for the turn policy.

        Returns:
            None when nothing was said.
        """
        ...

    async def improvise(self, brief: str) -> None:
        """Let the language model say the next line, following `brief`."""
        ...

    async def end(self) -> None:
        """End the call once everything has been said."""
        ...

    async def hush(self) -> None:
        """Stop what is being said."""
        ...

    async def transfer(self, destination: str, briefing: str) -> None:
        """Hand the call to another line, to somebody who is told `briefing` first, if any.

        Raises:
            DegradedError: The channel cannot.
        """
        ...


class Conversation(Generic[State]):
    """A running conversation, for tools and steps.

    Attributes:
        state: Whatever the steps of the flow keep; None outside a flow.
        caller: Who calls, where the channel tells; else empty.
        call: The telephone call with its facts, headers and keys; None if it is none.
        numbers: What the caller has entered, by name: for tools, hidden from the language model.
        today: For "tomorrow" and "next Friday".
        kept: Whatever tools and steps want to find again in the same conversation.
    """

    def __init__(
        self,
        floor: Floor,
        state: State | None = None,
        *,
        caller: str = "",
        call: Call | None = None,
        numbers: dict[str, str] | None = None,
        today: datetime.date | None = None,
        kept: dict[str, Any] | None = None,
    ) -> None:
        self._floor = floor
        self._state = state
        self.call = call
        self.caller = caller or (call.facts.caller or "" if call else "")
        self.numbers: dict[str, str] = {} if numbers is None else numbers
        self.kept: dict[str, Any] = {} if kept is None else kept
        self.today = today or datetime.datetime.now(datetime.UTC).astimezone().date()
        self.is_over = False
        """Whether goodbye has been said, or is about to be."""

    @property
    def state(self) -> State:
        """What the flow keeps.

        Raises:
            DegradedError: There is no flow.
        """
        if self._state is None:
            raise DegradedError("this conversation has no flow, and so no state")
        return self._state

    def with_state(self, state: Any) -> "Conversation[Any]":
        """Return the same conversation seen by a flow with this state."""
        return Conversation(
            self._floor,
            state,
            caller=self.caller,
            call=self.call,
            numbers=self.numbers,
            today=self.today,
            kept=self.kept,
        )

    async def say(self, text: str, *, more_follows: bool = False) -> None:
        """Speak after what is already being said. An empty line is nothing.

        Args:
            text: The line.
            more_follows: It only bridges the time until something is said that belongs to it.
        """
        if text.strip():
            await self._floor.say(text, more_follows=more_follows)

    async def ask(
        self,
        question: str,
        *,
        patience_s: float = PATIENCE_S,
        expects: Expects = OPEN,
        private: bool = False,
    ) -> str | None:
        """Ask, and return the answer's words; None when nothing was said.

        Args:
            question: Said first.
            patience_s: Silence after which to give up.
            expects: How the answer is likely to be spoken.
            private: From the question to the end of the answer no speech is sent to a recogniser on
                another machine. The words enter the conversation like any other; for what the
                language model must not see either there is `collect_digits`.
        """
        await self.say(question)
        if private:
            expects = replace(expects, private=True)
        return await self._floor.listen(patience_s, expects)

    async def improvise(self, brief: str, *, patience_s: float = PATIENCE_S) -> str | None:
        """Let the language model ask something, and return the answer's words.

        Args:
            brief: What the model is told, such as "Ask one question about what they just said."
            patience_s: As for `ask`.
        """
        await self._floor.improvise(brief)
        return await self._floor.listen(patience_s, OPEN)

    async def prompt(self, brief: str) -> None:
        """Let the language model say the next line, and its answer be the model's as well."""
        await self._floor.improvise(brief)

    async def collect(
        self,
        question: str,
        wanted: Answer[Value],
        *,
        retries: int = RETRIES,
        patience_s: float = PATIENCE_S,
        private: bool = False,
    ) -> Value | None:
        """Ask for a value until it is understood.

        Args:
            question: Asked first, and again after silence.
            wanted: What is understood, from `agent.values`.
            retries: Times the question is put again.
            patience_s: As for `ask`.
            private: As for `ask`.

        Returns:
            None when it was not understood in the end: branch on it.
        """
        line = question
        for _ in range(retries + 1):
            heard = await self.ask(
                line, patience_s=patience_s, expects=wanted.expects, private=private
            )
            if heard is None:
                line = question
                continue
            try:
                return wanted.read(heard, self.today)
            except NotUnderstoodError as error:
                logger.debug("an answer was not understood: {}", error)
                line = str(error)
        return None

    async def collect_digits(
        self,
        question: str,
        count: int,
        *,
        least: int | None = None,
        finish: str = "#",
        retries: int = RETRIES,
        patience_s: float = PATIENCE_S,
    ) -> str | None:
        """Ask for a number, entered by the telephone's keys or said, whichever comes.

        Nobody else sees it: the language model, transcripts, records and logs hold that something
        was said and not what, and no recogniser on another machine hears it. The first key stops
        the question.

        Args:
            question: Asked first, and again after silence.
            count: Digits at most.
            least: Fewest digits; None for exactly `count`.
            finish: Key that ends the number early; empty for none.
            retries: Times the question is put again.
            patience_s: As for `ask`.

        Returns:
            None when there was none in the end, or the call is over.
        """
        wanted = Digits(least or count, count)
        line = question
        for _ in range(retries + 1):
            try:
                entered = await self._entered(line, wanted, count, finish, patience_s)
            except NotUnderstoodError as error:
                line = str(error)
                continue
            if entered or (self.call and self.call.over.is_set()):
                return entered
            line = question
        return None

    async def _entered(
        self, question: str, wanted: Digits, count: int, finish: str, patience_s: float
    ) -> str | None:
        expects = Expects(wanted.expects.profile, wanted.expects.digits, secret=True)
        voice = asyncio.ensure_future(self.ask(question, patience_s=patience_s, expects=expects))
        if self.call is None or not self.call.capabilities.dtmf_in:
            return _read(wanted, await voice, self.today)
        began = asyncio.Event()
        keys = asyncio.ensure_future(
            self.call.collect_digits(
                count, finish=finish, timeout_s=KEY_PATIENCE_S, first_s=None, on_first=began.set
            )
        )
        first_key = asyncio.ensure_future(began.wait())
        try:
            await asyncio.wait({voice, first_key, keys}, return_when=asyncio.FIRST_COMPLETED)
            if voice.done():
                return _read(wanted, voice.result(), self.today)
            voice.cancel()
            await self._floor.hush()
            return _keyed(wanted, await keys)
        finally:
            for task in (voice, first_key, keys):
                task.cancel()
            await asyncio.gather(voice, first_key, keys, return_exceptions=True)

    async def press(self, keys: str) -> None:
        """Press keys of the telephone.

        Raises:
            DegradedError: There is no telephone, or it cannot.
        """
        if self.call is None:
            raise DegradedError("this channel has no keys")
        await self.call.send_dtmf(keys)

    async def confirm(self, question: str) -> bool:
        """Ask for a yes. Silence and what cannot be understood are a no."""
        return bool(await self.collect(question, YesNo()))

    async def end(self, goodbye: str = "") -> None:
        """Say goodbye and end the call."""
        self.is_over = True
        await self.say(goodbye)
        await self._floor.end()

    async def transfer(
        self, destination: str, announcement: str = "", *, briefing: str = ""
    ) -> None:
        """Hand the call to another line.

        Args:
            destination: One of `phone.transfer_to`.
            announcement: Said first.
            briefing: What the person there is told before they take the call or do not, while the
                caller hears music. Empty: the caller is handed over at once.

        Raises:
            DegradedError: The channel cannot, or nobody took the call; the conversation goes on.
        """
        await self.say(announcement)
        await self._floor.transfer(destination, briefing)


def _read(wanted: Digits, heard: str | None, today: datetime.date) -> str | None:
    return None if heard is None else wanted.read(heard, today)


def _keyed(wanted: Digits, entry: Entry) -> str | None:
    """The digits of keys.

    Raises:
        NotUnderstoodError: They are too few.
    """
    if entry.end is EntryEnd.CALL_OVER:
        return None
    if len(entry.digits) < wanted.least:
        raise NotUnderstoodError(
            f"I got {len(entry.digits)} digits and need {wanted.least}. Please enter them again."
        )
    return entry.digits
