"""The turn policy of the first release: silence, punctuation and prosody in a table. Pure."""

from dataclasses import dataclass, field

from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import SAMPLE_RATE, seconds
from agent.turns.completeness import Completeness, completeness
from agent.turns.events import (
    AgentFloor,
    Decision,
    DecisionKind,
    Evidence,
    Heard,
    Prosody,
    SpeechProbability,
)
from agent.vad.endpointer import Endpointer, EndpointerSettings, SpeechStarted, SpeechStopped
from agent.vad.silero import HOP


@dataclass(frozen=True, slots=True)
class PolicySettings:
    """How much silence ends a turn, by how finished it reads and sounds.

    Pauses inside a turn last 0.52 s at the median and 1.17 s at p90 (Switchboard), so silence
    alone must wait long; the shorter waits are earned by evidence.
    """

    speech: EndpointerSettings = field(default_factory=EndpointerSettings)

    closed_and_final_s: float = 0.25
    """Reads and sounds finished. Lower answers sooner, but cuts more people off: on 150 recorded
    commands 0.25 and 0.36 s cut off one speaker, 0.45 s none (`benchmarks/turns.py`)."""

    closed_s: float = 0.8
    """Reads finished, sounds as if more were to come."""

    open_and_final_s: float = 0.7
    """Reads unfinished, sounds finished."""

    open_s: float = 1.4
    """Neither. Longer than nine in ten pauses."""

    trailing_s: float = 2.4
    """Ends on a word that calls for another."""

    wordless_s: float = 0.8
    """Speech without words: a cough, a neighbour. Dropped, not answered."""

    final_prosody: float = 0.5
    """Smart Turn's own threshold for a finished turn."""

    speculate_s: float = 0.1
    """Silence before an answer is prepared unheard, if the text reads finished."""

    barge_in_s: float = 0.24
    """Speech over the agent that takes the floor. A cough's burst is mostly shorter."""

    overlap_end_s: float = 0.3
    """Silence that ends speech which left the agent the floor."""

    give_up_s: float = 4.0
    """Silence after which a turn is decided on what is known, should recognition be stuck."""


class SilenceTable:
    """Silence, the recogniser's punctuation and Smart Turn, scored again as silence grows. Pure.

    Silence counts only after speech, so a quiet line never ends a turn; a turn without words is
    dropped, so noise is never answered.
    """

    def __init__(self, settings: PolicySettings | None = None) -> None:
        self._settings = settings or PolicySettings()
        self._endpointer = Endpointer(self._settings.speech, SAMPLE_RATE, HOP)
        self._agent_speaking = False
        self._hypothesis: Hypothesis | None = None
        self._prosody: Prosody | None = None
        self._speculated: str | None = None
        self._begin_turn(None)

    @property
    def user_is_speaking(self) -> bool:
        """Whether the user's speech is confirmed and has not stopped."""
        return self._endpointer.is_speech

    @property
    def wants_prosody(self) -> bool:
        """Whether the turn has not yet sounded finished since the latest speech."""
        return self._turn_start is not None and not self._sounds_final

    @property
    def _sounds_final(self) -> bool:
        final = self._settings.final_prosody
        return self._prosody is not None and self._prosody.probability >= final

    def push(self, evidence: Evidence) -> list[Decision]:
        """Take one piece of evidence; return what follows from it, in order."""
        match evidence:
            case SpeechProbability():
                return self._on_probability(evidence)
            case Heard():
                self._hypothesis = evidence.hypothesis
                return []
            case Prosody():
                # A score of audio before the latest speech says nothing about its end.
                if evidence.at_sample >= self._endpointer.last_speech_end:
                    self._prosody = evidence
                return []
            case AgentFloor():
                self._agent_speaking = evidence.is_speaking
                return []

    def _begin_turn(self, start_sample: int | None) -> None:
        self._turn_start = start_sample
        self._hypothesis = None
        self._prosody = None
        self._speculated = None
        self._barged_in = False

    def _on_probability(self, evidence: SpeechProbability) -> list[Decision]:
        change = self._endpointer.push(evidence.probability, evidence.at_sample)
        decisions = []
        if isinstance(change, SpeechStarted):
            decisions += self._on_speech(change)
        elif isinstance(change, SpeechStopped):
            self._prosody = None
        if self._turn_start is None:
            return decisions
        if self.user_is_speaking:
            decisions += self._while_speaking(evidence.at_sample)
        else:
            decisions += self._while_silent(evidence.at_sample)
        return decisions

    def _on_speech(self, started: SpeechStarted) -> list[Decision]:
        if self._turn_start is None:
            self._begin_turn(started.start_sample)
            return []
        if self._speculated is None:
            return []
        self._speculated = None
        return [self._decision(DecisionKind.RESUME, started.at_sample, "the user speaks again")]

    def _while_speaking(self, at_sample: int) -> list[Decision]:
        if not self._agent_speaking or self._barged_in or self._turn_start is None:
            return []
        # Up to the last hop of speech: its hangover is not speech.
        spoken_s = seconds(self._endpointer.last_speech_end - self._turn_start)
        if spoken_s < self._settings.barge_in_s:
            return []
        self._barged_in = True
        reason = f"{spoken_s:.2f} s of speech over the agent"
        return [self._decision(DecisionKind.BARGE_IN, at_sample, reason, spoken_s=spoken_s)]

    def _while_silent(self, at_sample: int) -> list[Decision]:
        silence_s = seconds(at_sample - self._endpointer.last_speech_end)
        if self._agent_speaking and not self._barged_in:
            return self._while_overlapping(at_sample, silence_s)
        text = self._settled_text(silence_s)
        if text is None:
            return []
        reading = completeness(text)
        needed_s, reason = self._needed(reading)
        figures: dict[str, float | str] = {
            "silence_s": round(silence_s, 3),
            "needed_s": needed_s,
            "text": reading.value,
        }
        if self._prosody is not None:
            figures["prosody"] = round(self._prosody.probability, 3)
        if silence_s >= needed_s:
            kind = DecisionKind.HOLD if reading is Completeness.EMPTY else DecisionKind.COMMIT
            return [self._close(kind, at_sample, reason, **figures)]
        may_speculate = reading is Completeness.CLOSED and silence_s >= self._settings.speculate_s
        if may_speculate and self._speculated != text:
            self._speculated = text
            reason = "reads finished; the answer is prepared unheard"
            return [self._decision(DecisionKind.SPECULATE, at_sample, reason, **figures)]
        return []

    def _while_overlapping(self, at_sample: int, silence_s: float) -> list[Decision]:
        if silence_s < self._settings.overlap_end_s:
            return []
        reason = "too short to take the floor"
        return [self._close(DecisionKind.BACKCHANNEL, at_sample, reason)]

    def _close(
        self, kind: DecisionKind, at_sample: int, reason: str, **figures: float | str
    ) -> Decision:
        decision = self._decision(kind, at_sample, reason, **figures)
        self._begin_turn(None)
        # From here the agent holds the floor, thinking first: a click must not cost the answer.
        self._agent_speaking |= kind is DecisionKind.COMMIT
        return decision

    def _settled_text(self, silence_s: float) -> str | None:
        """The text, once it covers all the speech; None before."""
        hypothesis = self._hypothesis
        if silence_s >= self._settings.give_up_s:
            return hypothesis.text if hypothesis else ""
        if hypothesis is None or hypothesis.end_sample < self._endpointer.last_speech_end:
            return None
        return hypothesis.text

    def _needed(self, reading: Completeness) -> tuple[float, str]:
        """Silence this turn must reach, in seconds, and why."""
        settings = self._settings
        if reading is Completeness.EMPTY:
            return settings.wordless_s, "speech without words"
        if reading is Completeness.TRAILING:
            return settings.trailing_s, "ends on a word that calls for another"
        if reading is Completeness.CLOSED:
            if self._sounds_final:
                return settings.closed_and_final_s, "reads and sounds finished"
            return settings.closed_s, "reads finished"
        if self._sounds_final:
            return settings.open_and_final_s, "sounds finished"
        return settings.open_s, "silence"

    def _decision(
        self, kind: DecisionKind, at_sample: int, reason: str, **figures: float | str
    ) -> Decision:
        return Decision(
            kind=kind,
            at_sample=at_sample,
            speech_end_sample=self._endpointer.last_speech_end,
            reason=reason,
            evidence=figures,
        )
