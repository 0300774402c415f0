"""The frames our processors exchange.

What must not wait behind data, or survive an interruption, is a SystemFrame.
"""

from dataclasses import dataclass, field

from pipecat.frames.frames import (
    ControlFrame,
    DataFrame,
    LLMFullResponseStartFrame,
    SystemFrame,
    TextFrame,
)
from pipecat.processors.aggregators.llm_context import LLMContext

from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import PcmChunk
from agent.llm.draft import Draft
from agent.llm.fallback import Failure
from agent.tts.speech import Speech
from agent.turns.echo import SILENT_DBFS
from agent.turns.events import Decision
from agent.vad.readings import Profile

MORE_FOLLOWS = "more_follows"
"""Key of the metadata of a line, and of the end of a response: it only bridges the time until the
answer."""

BROKEN_OFF = "broken_off"
"""Key of the metadata of a response's end: the interruption that ended it is under way."""


@dataclass
class HopFrame(SystemFrame):
    """One 32 ms hop of the user's audio with its speech posterior.

    Parameters
    ----------
        chunk: 512 samples at 16 kHz on the media clock.
        probability: That the hop holds speech of the caller's.
        level_dbfs: Of the microphone.
        echo_dbfs: Level expected of our own voice in it.
        behind: The speech detector's own posterior, where the sound is that of people behind the
            caller; None where it counts.
        caller_dbfs: Level of the caller's speech, once known.
        behind_dbfs: Level of what is heard in his pauses, once known.
    """

    chunk: PcmChunk
    probability: float
    level_dbfs: float = 0.0
    echo_dbfs: float = SILENT_DBFS
    behind: float | None = None
    caller_dbfs: float | None = None
    behind_dbfs: float | None = None


@dataclass
class HypothesisFrame(SystemFrame):
    """The recogniser's text for the open utterance, tentative or final."""

    hypothesis: Hypothesis


@dataclass
class UtteranceOverFrame(SystemFrame):
    """Upstream: the turn is decided, so the recogniser owes the utterance's final."""


@dataclass
class CorrectionFrame(SystemFrame):
    """A better text for an utterance whose final was given already; never a second turn.

    Parameters
    ----------
        hypothesis: The better text.
        replaced: What was taken for said: the final's text, and behind the turn taking those words
            of it that were the turn's.
        text: What was said in its place.
    """

    hypothesis: Hypothesis
    replaced: str
    text: str


@dataclass
class PrivacyFrame(SystemFrame):
    """What the user says from here on stays on this machine, or may leave it again.

    Parameters
    ----------
        is_private: Whether it stays. Speech that is open counts as private at once; what was sent
            of it was sent. Speech that was private when it began stays so to its end.
    """

    is_private: bool


@dataclass
class TurnDecisionFrame(SystemFrame):
    """A decision about the floor.

    Parameters
    ----------
        decision: What was decided and why.
        text: The user's words it concerns, as recognised so far.
    """

    decision: Decision
    text: str = ""


@dataclass
class WordsSoFarFrame(SystemFrame):
    """What the user has said of a turn that is not over, nobody speaking over it.

    Parameters
    ----------
        text: Up to the last word, without the mark behind it.
    """

    text: str


@dataclass
class WordingFrame(SystemFrame):
    """Upstream: what the language model makes of words that it has read ahead.

    Parameters
    ----------
        text: Those words.
        probability: That they are all the user says.
    """

    text: str
    probability: float


@dataclass
class ReadAheadFrame(SystemFrame):
    """What the language model is going to be asked begins like this.

    Parameters
    ----------
        context: The conversation, and as its last message the words so far.
    """

    context: LLMContext


@dataclass
class DraftStartFrame(LLMFullResponseStartFrame):
    """A response begins whose turn may not have ended: make it, and let nothing be heard.

    Parameters
    ----------
        draft: Settled by the language model's service before the frame that settles it comes by.
    """

    draft: Draft = field(default_factory=Draft)


@dataclass
class AgentSpeechFrame(SystemFrame):
    """Upstream: how far the response that is being heard has come.

    Parameters
    ----------
        is_speaking: From its first packet to its last, pauses included.
        said: What was heard of it.
        unsaid: What was made of it and not yet heard.
    """

    is_speaking: bool
    said: str = ""
    unsaid: str = ""


@dataclass
class ProfileFrame(SystemFrame):
    """Upstream: how the user is expected to speak next, for those who read the posterior."""

    profile: Profile = Profile.SHORT


@dataclass
class EndRequestedFrame(SystemFrame):
    """The user's turn is over, says something other than the voice: a button, a client.

    Parameters
    ----------
        discard: What was said is taken back, and not answered.
    """

    discard: bool = False


@dataclass
class ExpectationFrame(SystemFrame):
    """What the dialogue expects of the user's next turns, until told otherwise.

    Parameters
    ----------
        profile: ``short``, ``continuous``, or None: the agent's last words decide.
        digits: How many digits were asked for, where a number was.
        secret: Whether nobody but who asked may see what is said.
        private: Whether no recogniser on another machine may hear it. A secret is private too.
    """

    profile: str | None = None
    digits: int | None = None
    secret: bool = False
    private: bool = False


@dataclass
class LanguageFailureFrame(ControlFrame):
    """The response that ends next ends because the language model failed."""

    failure: Failure


@dataclass
class SpeechFrame(DataFrame):
    """Synthesised speech with its words, on its way to playout."""

    speech: Speech


@dataclass
class HeardWordsFrame(SystemFrame, TextFrame):
    """Words of the agent that have now been heard.

    A TextFrame, so the assistant's aggregator writes it into the context; a SystemFrame, so it
    keeps its place before the interruption that ends the response.
    """


@dataclass
class ClientEventFrame(SystemFrame):
    """Something for the client to show: one JSON object of the event vocabulary.

    Parameters
    ----------
        event: Its ``type`` names it; see docs/protocol.md.
    """

    event: dict[str, object] = field(default_factory=dict)
