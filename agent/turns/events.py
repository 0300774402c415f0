"""What a turn policy is told, and what it decides. Pure."""

from dataclasses import dataclass, field
from enum import Enum
from typing import Protocol, runtime_checkable

from agent.asr.hypothesis import Hypothesis
from agent.turns.ending import Judgement
from agent.turns.floor import Floor
from agent.vad.readings import Profile


class DecisionKind(Enum):
    """What can happen to the floor."""

    SPECULATE = "SPECULATE"
    """The turn has probably ended: prepare an answer, let nothing of it be heard."""

    COMMIT = "COMMIT"
    """The turn has ended: answer."""

    RESUME = "RESUME"
    """The turn had not ended: the user goes on, what was prepared is withdrawn. Or the agent goes
    on after a false alarm, from the sample it stopped at."""

    HOLD = "HOLD"
    """Speech ended without a turn: nothing was said, or not to us."""

    DUCK = "DUCK"
    """Something that may be speech is heard over the agent: it speaks more quietly."""

    PAUSE = "PAUSE"
    """Speech is heard over the agent, or it was told to wait: it stops on a sample."""

    BARGE_IN = "BARGE_IN"
    """The user takes the floor from the agent."""

    BACKCHANNEL = "BACKCHANNEL"
    """The user spoke over the agent and leaves it the floor: it goes on where it stopped."""

    REPEAT = "REPEAT"
    """The user asks to hear the agent's last utterance again."""


@dataclass(frozen=True, slots=True)
class SpeechProbability:
    """One hop's posterior.

    Attributes:
        at_sample: Just after the hop, on the media clock (16 kHz).
        probability: That it holds speech of the caller's.
        level_dbfs: Of the microphone.
        echo_dbfs: Level expected of the agent's own voice in it.
        behind: The speech detector's own posterior, where the sound is that of people behind the
            caller (`agent.vad.foreground`); None where it counts.
        caller_dbfs: Level of the caller's speech, once known.
        behind_dbfs: Level of what is heard in his pauses, once known.
    """

    at_sample: int
    probability: float
    level_dbfs: float = 0.0
    echo_dbfs: float = -96.0
    behind: float | None = None
    caller_dbfs: float | None = None
    behind_dbfs: float | None = None


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
class Wording:
    """The language model's probability that what the user says ends behind `text`.

    Attributes:
        at_sample: When it became known, on the media clock (16 kHz).
        text: As `agent.turns.completeness.without_mark` leaves it.
        probability: Of a mark that ends a sentence, or of the message's end, as its next token.
    """

    at_sample: int
    text: str
    probability: float


@dataclass(frozen=True, slots=True)
class AgentFloor:
    """How far the agent's response has come.

    Attributes:
        at_sample: On the user's media clock.
        is_speaking: From its first sample to its last, pauses included.
        said: What was heard of it.
        unsaid: What was made of it and not yet heard.
    """

    at_sample: int
    is_speaking: bool
    said: str = ""
    unsaid: str = ""


@dataclass(frozen=True, slots=True)
class Expectation:
    """What the dialogue expects of the user's next turns, until told otherwise.

    Attributes:
        at_sample: On the user's media clock.
        profile: ``short`` for answers and commands, ``continuous`` for dictation and open speech;
            None lets the agent's last words decide.
        digits: How many digits were asked for, where a number was.
    """

    at_sample: int
    profile: str | None = None
    digits: int | None = None


@dataclass(frozen=True, slots=True)
class TurnLost:
    """A committed turn came to nothing: its final text was empty, or no answer will be made."""

    at_sample: int


@dataclass(frozen=True, slots=True)
class EndRequested:
    """The user says by other means than voice that the turn is over: a button was let go.

    Attributes:
        at_sample: On the user's media clock.
        discard: What was said is taken back, and not answered.
    """

    at_sample: int
    discard: bool = False


Evidence = (
    SpeechProbability
    | Heard
    | Prosody
    | Wording
    | AgentFloor
    | Expectation
    | EndRequested
    | TurnLost
)


@dataclass(frozen=True, slots=True)
class Decision:
    """One decision and why.

    Attributes:
        kind: What happens to the floor.
        at_sample: When it was decided, on the media clock (16 kHz).
        speech_end_sample: Just after the user's last speech.
        reason: In words, for logs, records and the page.
        evidence: The figures it rests on, by name.
        words_from: Words that begin before this sample do not belong to the turn.
    """

    kind: DecisionKind
    at_sample: int
    speech_end_sample: int
    reason: str
    evidence: dict[str, float | str] = field(default_factory=dict)
    words_from: int = 0


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


@runtime_checkable
class Explains(Protocol):
    """A policy that can be asked what it thinks and expects. Optional."""

    @property
    def profile(self) -> Profile:
        """How the user is expected to speak next: the readings that suit it."""
        ...

    @property
    def floor(self) -> Floor:
        """Who holds the floor."""
        ...

    @property
    def judgement(self) -> Judgement | None:
        """What is known of the end of the user's turn; None while there is nothing to judge."""
        ...
