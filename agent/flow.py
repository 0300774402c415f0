"""A conversation in steps: plain functions with typed state, no graph to draw.

A step talks through its `Conversation` and returns what comes next: another step, `End`,
`HandOver`, or nothing, after which the language model goes on by itself.
"""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from traceback import format_exception
from typing import TYPE_CHECKING, Any, Generic, TypeVar, overload

from loguru import logger

from agent.conversation import Conversation
from agent.errors import SettingsError

if TYPE_CHECKING:
    from agent.agent import Agent

State = TypeVar("State")

FAILED = "Sorry, something went wrong on my side. How else can I help?"

_MOST_STEPS = 500
"""A flow that goes round without anybody speaking would never give the machine back."""


@dataclass(frozen=True, slots=True)
class End:
    """The call is over, with a last line."""

    goodbye: str = ""


@dataclass(frozen=True, slots=True)
class HandOver:
    """Another agent takes over, who knows all that was said. A tool may return it, too.

    Attributes:
        agent: Who takes over.
        announcement: Said before.
        result: Of the tool, for the model; None where there is none.
    """

    agent: "Agent"
    announcement: str = ""
    result: object = None


Step = Callable[[Conversation[State]], Awaitable[Any]]


class Flow(Generic[State]):
    """Steps and the state they share.

    Args:
        state: Makes the state of one conversation: a class without arguments, usually a dataclass.
    """

    def __init__(self, state: Callable[[], State] = dict) -> None:  # type: ignore[assignment]
        self._state = state
        self._start: Step[State] | None = None
        self._steps: list[Step[State]] = []

    @overload
    def step(self, function: Step[State]) -> Step[State]: ...

    @overload
    def step(self, *, start: bool) -> Callable[[Step[State]], Step[State]]: ...

    def step(self, function: Step[State] | None = None, *, start: bool = False) -> Any:
        """Make a function a step. The first one, or the one marked so, is where it begins."""

        def add(step: Step[State]) -> Step[State]:
            self._steps.append(step)
            if start or self._start is None:
                self._start = step
            return step

        return add(function) if function else add

    async def run(self, conversation: Conversation[Any]) -> HandOver | None:
        """Go through the steps.

        Returns:
            Who takes over; None when nobody does, or the call is being ended.

        Raises:
            SettingsError: There are no steps.
        """
        if self._start is None:
            raise SettingsError("a flow needs a step: decorate a function with @flow.step")
        here = conversation.with_state(self._state())
        step: Any = self._start
        for _ in range(_MOST_STEPS):
            try:
                following = await step(here)
            except Exception as error:  # noqa: BLE001 - a step is the developer's, the call ours
                # Not loguru's own traceback: it shows the values of variables.
                logger.error("step {} failed: {}", _name(step), "".join(format_exception(error)))
                await conversation.say(FAILED)
                return None
            if isinstance(following, End):
                await conversation.end(following.goodbye)
                return None
            if isinstance(following, HandOver):
                return following
            if following is None:
                return None
            if following not in self._steps:
                raise SettingsError(
                    f"step {_name(step)} returned {following!r}; return a step of this flow, "
                    "End(...), HandOver(...) or None"
                )
            step = following
        logger.error("a flow took {} steps and was stopped", _MOST_STEPS)
        return None


def _name(step: Any) -> str:
    return str(getattr(step, "__name__", step))
