"""A policy that decides nothing: the client says when a turn is over. Pure."""

from agent.audio.chunk import SAMPLE_RATE
from agent.turns.events import Decision, DecisionKind, EndRequested, Evidence, SpeechProbability
from agent.vad.endpointer import Endpointer
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP


class ManualPolicy:
    """Ends the user's turn when it is told to, and never interrupts the agent. Pure.

    For clients with a button, and for those that look for speech themselves.
    """

    def __init__(self) -> None:
        self._speech = Endpointer(READINGS[Profile.CONTINUOUS].confirmation, SAMPLE_RATE, HOP)

    @property
    def user_is_speaking(self) -> bool:
        """Whether the user's speech is confirmed and has not stopped."""
        return self._speech.is_speech

    @property
    def wants_prosody(self) -> bool:
        """No score changes what the client decides."""
        return False

    def push(self, evidence: Evidence) -> list[Decision]:
        """Take one piece of evidence; return what follows from it, in order."""
        match evidence:
            case SpeechProbability():
                self._speech.push(evidence.probability, evidence.at_sample)
            case EndRequested():
                kind = DecisionKind.HOLD if evidence.discard else DecisionKind.COMMIT
                reason = "taken back" if evidence.discard else "the client says so"
                end = self._speech.last_speech_end
                return [Decision(kind, evidence.at_sample, end, reason)]
        return []
