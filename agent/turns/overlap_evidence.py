"""What an overlap is judged by: what the agent says, and what is heard over it. Pure."""

from dataclasses import dataclass

from agent.asr.hypothesis import Word
from agent.turns.echo import SILENT_DBFS


@dataclass(frozen=True, slots=True)
class AgentSpeech:
    """What the agent says, at the overlap's onset.

    Attributes:
        said: Words heard of this response, in order; the last 3 s matter.
        unsaid: Words made and not yet heard, in order; those already sent come first.
    """

    said: tuple[str, ...] = ()
    unsaid: tuple[str, ...] = ()

    @property
    def asks(self) -> bool:
        """Whether a question has just been put, or is being put: then "okay" is an answer."""
        near = (*self.said[-_JUST_ASKED:], *self.unsaid[:_ABOUT_TO_ASK])
        return any(word.rstrip("\"')”’").endswith("?") for word in near)

    @property
    def around(self) -> tuple[str, ...]:
        """The words whose echo may be heard now."""
        return (*self.said[-_ECHOED:], *self.unsaid[:_SENT])


_JUST_ASKED = 8
"""Words after a question in which an answer may still come: about 2.5 s of speech."""

_ABOUT_TO_ASK = 3
"""Words before a question's end in which an answer may come already."""

_ECHOED, _SENT = 16, 6
"""Words heard in the last 5 s, and those that sound while an overlap is judged."""


@dataclass(frozen=True, slots=True)
class OverlapHop:
    """One hop during the overlap.

    Attributes:
        at_sample: Just after it, on the media clock (16 kHz).
        probability: The speech posterior.
        level_dbfs: Of the microphone.
        echo_dbfs: Level expected of our own voice (`agent.turns.echo.EchoLevel`).
    """

    at_sample: int
    probability: float
    level_dbfs: float = 0.0
    echo_dbfs: float = SILENT_DBFS


@dataclass(frozen=True, slots=True)
class OverlapWords:
    """The recogniser's latest words for the overlap.

    Attributes:
        at_sample: When they came.
        words: All words so far; empty if it heard none.
        end_sample: Just after the last sample they take into account.
        unfinished: The word that was being spoken there, which is not among them.
    """

    at_sample: int
    words: tuple[Word, ...]
    end_sample: int
    unfinished: Word | None = None
