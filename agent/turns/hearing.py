"""What is heard of the user: speech by two readings of its posterior, and the latest text. Pure."""

from dataclasses import dataclass

from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import SAMPLE_RATE, seconds
from agent.turns.completeness import Completeness, completeness
from agent.turns.events import SpeechProbability
from agent.turns.hotwords import Hotword
from agent.turns.own_words import OwnWords
from agent.turns.step import Figures
from agent.vad.endpointer import Endpointer, SpeechStarted, SpeechStopped
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP

_TALK = 0.35
"""Posterior of what would have gone on as speech."""


@dataclass(frozen=True, slots=True)
class Sound:
    """What one hop changes.

    Attributes:
        noticed: Something that may be speech begins, or has faded.
        confirmed: Speech begins, or has stopped.
        pause_from: Where the silence before this hop began.
    """

    noticed: SpeechStarted | SpeechStopped | None
    confirmed: SpeechStarted | SpeechStopped | None
    pause_from: int


class Hearing:
    """The user as heard so far. Pure; both judges of the policy read it."""

    def __init__(self, profile: Profile) -> None:
        readings = READINGS[profile]
        self._prefetch = Endpointer(readings.prefetch, SAMPLE_RATE, HOP)
        self._speech = Endpointer(readings.confirmation, SAMPLE_RATE, HOP)
        self._closed_utterance = -1
        self.now = 0
        """The latest sample anything is known of, on the media clock (16 kHz)."""
        self.hypothesis: Hypothesis | None = None
        """The latest text since what was decided last."""
        self.text_changed_at = 0
        self._latest: SpeechProbability | None = None
        self._behind = 0
        self._own_words = OwnWords()
        self.words_from = 0
        """Words that begin before this sample somebody else said; 0 where nobody did."""

    @property
    def is_speaking(self) -> bool:
        """Whether speech is confirmed and has not stopped."""
        return self._speech.is_speech

    @property
    def may_be_speaking(self) -> bool:
        """Whether something is heard that may be speech."""
        return self._prefetch.is_speech

    @property
    def silent_since(self) -> int:
        """Just after the last speech."""
        return self._speech.last_speech_end

    @property
    def silence_s(self) -> float:
        """Since the last speech."""
        return seconds(self.now - self.silent_since)

    @property
    def covers_speech(self) -> bool:
        """Whether the text was made of all the speech."""
        return self.hypothesis is not None and self.hypothesis.end_sample >= self.silent_since

    @property
    def covers_silence(self) -> bool:
        """Whether the text was made of all the speech and the beginning of the silence."""
        return self.hypothesis is not None and self.hypothesis.end_sample > self.silent_since

    @property
    def has_words(self) -> bool:
        """Whether the text says anything."""
        return (
            self.hypothesis is not None
            and completeness(self.hypothesis.text) is not Completeness.EMPTY
        )

    @property
    def behind(self) -> Figures:
        """Talk behind the caller since his last speech, and both levels; empty without any."""
        latest = self._latest
        if not self._behind or latest is None:
            return {}
        figures: dict[str, float | str] = {"behind_s": round(seconds(self._behind * HOP), 3)}
        if latest.caller_dbfs is not None and latest.behind_dbfs is not None:
            figures |= {"caller_dbfs": latest.caller_dbfs, "behind_dbfs": latest.behind_dbfs}
        return figures

    def hop(self, hop: SpeechProbability) -> Sound:
        """Take one hop's posterior."""
        pause_from = self.silent_since
        self._latest = hop
        self._own_words.push(hop)
        noticed = self._prefetch.push(hop.probability, hop.at_sample)
        confirmed = self._speech.push(hop.probability, hop.at_sample)
        if self.silent_since == hop.at_sample:
            self._behind = 0
        elif hop.behind is not None and hop.behind >= _TALK:
            self._behind += 1
        return Sound(noticed, confirmed, pause_from)

    def text(self, hypothesis: Hypothesis) -> bool:
        """Take the recogniser's latest text; False if it was under way while a turn was decided."""
        if hypothesis.utterance_id <= self._closed_utterance:
            return False
        hypothesis, self.words_from = self._own_words.of(hypothesis)
        if self.hypothesis is None or hypothesis.text != self.hypothesis.text:
            self.text_changed_at = self.now
        self.hypothesis = hypothesis
        return True

    def says_more_than(self, hotword: Hotword) -> bool:
        """Whether words follow `hotword`."""
        return self.hypothesis is not None and hotword.last_word + 1 < len(self.hypothesis.words)

    def read_as(self, profile: Profile, *, is_turn: bool) -> None:
        """Read the posterior as the dialogue leads to; what is being said is heard to its end.

        Args:
            profile: How the user is expected to speak.
            is_turn: Confirmation opens a turn; once it is open, decision says whether it goes on.
        """
        readings = READINGS[profile]
        self._prefetch.adopt(readings.prefetch)
        self._speech.adopt(readings.decision if is_turn else readings.confirmation)

    def forget(self) -> None:
        """Nothing that was heard belongs to what comes next."""
        if self.hypothesis:
            self._closed_utterance = self.hypothesis.utterance_id
        self.hypothesis = None
        self.words_from = 0
        self.text_changed_at = self.now
