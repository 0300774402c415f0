"""What the protocol wants done in the pipeline, in the order given. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from agent.transports.realtime.configuration import ClientTool, Configuration


@dataclass(frozen=True, slots=True)
class Hear:
    """The user's audio: PCM16, mono, little-endian."""

    pcm: bytes
    sample_rate: int


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The user's turn is over; or it never was, and what was said is forgotten."""

    discard: bool = False


@dataclass(frozen=True, slots=True)
class Interrupt:
    """The agent falls silent."""


@dataclass(frozen=True, slots=True)
class Configure:
    """The session's settings are these now."""

    settings: Configuration


@dataclass(frozen=True, slots=True)
class Respond:
    """The agent answers, without waiting for a turn.

    Attributes:
        instructions: For this answer only, besides the session's.
        tool_choice: For this answer only; None for the session's.
        messages: What is answered; None for the conversation.
        tools: That may be called; None for the session's.
        max_output_tokens: Of this answer; None for the session's.
    """

    instructions: str = ""
    tool_choice: Any = None
    messages: tuple[Mapping[str, Any], ...] | None = None
    tools: tuple[ClientTool, ...] | None = None
    max_output_tokens: int | None = None


@dataclass(frozen=True, slots=True)
class RespondAside:
    """The language model writes an answer that no conversation keeps.

    Attributes:
        response_id: By which it is told.
        respond: What is asked.
    """

    response_id: str
    respond: Respond


@dataclass(frozen=True, slots=True)
class CancelAside:
    """Such an answer is not wanted any more."""

    response_id: str


@dataclass(frozen=True, slots=True)
class CallResult:
    """What a function gave that ran at the client."""

    call_id: str
    output: str


@dataclass(frozen=True, slots=True)
class Place:
    """A message of the context: the one with these words, counted from the end.

    The context is other people's too, so a message is known by what it says.

    Attributes:
        role: Of its speaker.
        text: What it says.
        later: How many with the same role and words come after it.
    """

    role: str
    text: str
    later: int = 0


@dataclass(frozen=True, slots=True)
class AddMessage:
    """The context holds another message.

    Attributes:
        message: As language models take it.
        after: Which it follows; None for the last one.
        first: It goes before all others.
    """

    message: Mapping[str, Any]
    after: Place | None = None
    first: bool = False


@dataclass(frozen=True, slots=True)
class Rewrite:
    """A message of the context says something else; with no words at all it goes away."""

    place: Place
    text: str


@dataclass(frozen=True, slots=True)
class ForgetCall:
    """The context holds neither a call nor its output: one without the other is no conversation."""

    call_id: str


Command = (
    Hear
    | EndTurn
    | Interrupt
    | Configure
    | Respond
    | RespondAside
    | CancelAside
    | CallResult
    | AddMessage
    | Rewrite
    | ForgetCall
)
