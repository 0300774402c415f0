"""What a turn policy is told, and what it decides. Pure."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol

from agent.asr.hypothesis import Hypothesis


class DecisionKind(Enum):
    """What can happen to the floor."""

    SPECULATE = "SPECULATE"
    """The turn has probably ended: prepare an answer, let nothing of it be heard."""

    COMMIT = "COMMIT"
    """The turn has ended: answer."""

    RESUME = "RESUME"
    """It had not: the user goes on, or the agent goes on after a false alarm."""

    HOLD = "HOLD"
    """Speech ended without a turn: nothing was said, or not to us."""

    BARGE_IN = "BARGE_IN"
    """The user takes the floor from the agent."""

    BACKCHANNEL = "BACKCHANNEL"
    """The user spoke over the agent and leaves it the floor."""


@dataclass(frozen=True, slots=True)
class SpeechProbability:
    """One hop's posterior.

    Attributes:
        at_sample: Just after the hop, on the media clock (16 kHz).
        probability: That it holds speech.
    """

    at_sample: int
    probability: float


@dataclass(frozen=True, slots=True)
class Heard:
    """The recogniser's latest text for the open turn."""

    at_sample: int
    hypothesis: Hypothesis


@dataclass(frozen=True, slots=True)
class Prosody:
    """Probability that the turn sounds finished, for the audio up to `at_sample`."""

    at_sample: int
    probability: float


@dataclass(frozen=True, slots=True)
class AgentFloor:
    """The agent began or stopped being heard.

    Attributes:
        at_sample: On the user's media clock.
        is_speaking: Whether it can be heard now.
        text: Its last utterance so far, as heard.
    """

    at_sample: int
    is_speaking: bool
    text: str = ""


Evidence = SpeechProbability | Heard | Prosody | AgentFloor


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision and why.

    Attributes:
        kind: What happens to the floor.
        at_sample: When it was decided, on the media clock (16 kHz).
        speech_end_sample: Just after the user's last speech.
        reason: In words, for logs, records and the page.
        evidence: The figures it rests on, by name.
    """

    kind: DecisionKind
    at_sample: int
    speech_end_sample: int
    reason: str
    evidence: dict[str, float | str] = field(default_factory=dict)


class TurnPolicy(Protocol):
    """Decides who holds the floor. Pure: time arrives as sample positions.

    The same evidence in the same order gives the same decisions.
    """

    @property
    def user_is_speaking(self) -> bool:
        """Whether the user's speech is confirmed and has not stopped."""
        ...

    @property
    def wants_prosody(self) -> bool:
        """Whether another score could change what is decided. Each costs a core 75 ms."""
        ...

    def push(self, evidence: Evidence) -> list[Decision]:
        """Take one piece of evidence; return what follows from it, in order."""
        ...
