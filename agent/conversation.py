"""What a tool or a step of a flow can do in a running conversation.

Tools, flows and confirmations stand on two acts, `say` and `listen`. The session does them by
voice; a test can do them with text.
"""

import datetime
from typing import Any, Generic, Protocol, TypeVar

from loguru import logger

from agent.errors import DegradedError
from agent.values import OPEN, Answer, Expects, NotUnderstoodError, YesNo

State = TypeVar("State")
Value = TypeVar("Value")

PATIENCE_S = 8.0
"""Silence after a question before it is asked again. People answer in one or two seconds; finding
a card or a pen takes longer."""

RETRIES = 2


class Floor(Protocol):
    """The two sides of a conversation, as a step sees them."""

    async def say(self, text: str) -> None:
        """Speak after what is already being said."""
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

    async def transfer(self, destination: str) -> None:
        """Hand the call to another line.

        Raises:
            DegradedError: The channel cannot.
        """
        ...


class Conversation(Generic[State]):
    """A running conversation, for tools and steps.

    Attributes:
        state: Whatever the steps of the flow keep; None outside a flow.
        caller: Who calls, where the channel tells; else empty.
        today: For "tomorrow" and "next Friday".
    """

    def __init__(
        self,
        floor: Floor,
        state: State | None = None,
        *,
        caller: str = "",
        today: datetime.date | None = None,
    ) -> None:
        self._floor = floor
        self._state = state
        self.caller = caller
        self.today = today or datetime.datetime.now(datetime.UTC).astimezone().date()

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
        return Conversation(self._floor, state, caller=self.caller, today=self.today)

    async def say(self, text: str) -> None:
        """Speak after what is already being said. An empty line is nothing."""
        if text.strip():
            await self._floor.say(text)

    async def ask(
        self, question: str, *, patience_s: float = PATIENCE_S, expects: Expects = OPEN
    ) -> str | None:
        """Ask, and return the answer's words; None when nothing was said."""
        await self.say(question)
        return await self._floor.listen(patience_s, expects)

    async def improvise(self, brief: str, *, patience_s: float = PATIENCE_S) -> str | None:
        """Let the language model ask something, and return the answer's words.

        Args:
            brief: What the model is told, such as "Ask one question about what they just said."
            patience_s: As for `ask`.
        """
        await self._floor.improvise(brief)
        return await self._floor.listen(patience_s, OPEN)

    async def collect(
        self,
        question: str,
        wanted: Answer[Value],
        *,
        retries: int = RETRIES,
        patience_s: float = PATIENCE_S,
    ) -> Value | None:
        """Ask for a value until it is understood.

        Args:
            question: Asked first, and again after silence.
            wanted: What is understood, from `agent.values`.
            retries: Times the question is put again.
            patience_s: As for `ask`.

        Returns:
            None when it was not understood in the end: branch on it.
        """
        line = question
        for _ in range(retries + 1):
            heard = await self.ask(line, patience_s=patience_s, expects=wanted.expects)
            if heard is None:
                line = question
                continue
            try:
                return wanted.read(heard, self.today)
            except NotUnderstoodError as error:
                logger.debug("an answer was not understood: {}", error)
                line = str(error)
        return None

    async def confirm(self, question: str) -> bool:
        """Ask for a yes. Silence and what cannot be understood are a no."""
        return bool(await self.collect(question, YesNo()))

    async def end(self, goodbye: str = "") -> None:
        """Say goodbye and end the call."""
        await self.say(goodbye)
        await self._floor.end()

    async def transfer(self, destination: str, announcement: str = "") -> None:
        """Hand the call to another line.

        Raises:
            DegradedError: The channel cannot.
        """
        await self.say(announcement)
        await self._floor.transfer(destination)
