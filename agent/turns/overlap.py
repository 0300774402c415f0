"""What speech over the agent means: a nod, a noise, our own echo, or a wish for the floor. Pure.

The ladder's last rung. The agent has been ducked and paused, both reversible; this decides, on the
sample clock and within 0.7 s of the confirmed onset, whether it goes on from the sample it was
paused at or is cut.
"""

import math
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import Enum

from agent.asr.hypothesis import Word
from agent.audio.chunk import samples, seconds
from agent.turns.backchannels import Reading, read
from agent.turns.echo import SILENT_DBFS, EchoVeto
from agent.turns.hotwords import Hotword, HotwordAction
from agent.turns.overlap_settings import OverlapSettings
from agent.turns.sounds import tokens
from agent.vad.silero import HOP


class OverlapKind(Enum):
    """What an overlap is."""

    UNDECIDED = "UNDECIDED"
    """Not known yet: the agent stays paused."""

    BACKCHANNEL = "BACKCHANNEL"
    """The user listens and says so: the agent goes on."""

    NOISE = "NOISE"
    """A cough, a door, a word to nobody: the agent goes on."""

    ECHO = "ECHO"
    """The agent heard itself: it goes on."""

    INTERRUPTION = "INTERRUPTION"
    """The user takes the floor: the agent is cut."""


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


@dataclass(frozen=True, slots=True)
class Overlap:
    """The verdict on an overlap, so far.

    Attributes:
        kind: What it is.
        at_sample: When this was decided.
        reason: In words, for logs, records and the page.
        figures: What it rests on, by name.
    """

    kind: OverlapKind
    at_sample: int
    reason: str
    figures: dict[str, float | str] = field(default_factory=dict)


class OverlapVerdict:
    """Judges one overlap as its evidence comes in. Pure.

    A verdict that leaves the agent the floor may still become INTERRUPTION, if more is said; an
    INTERRUPTION stands. At the deadline there is always a verdict.
    """

    def __init__(
        self,
        onset_sample: int,
        confirmed_sample: int,
        agent: AgentSpeech,
        settings: OverlapSettings | None = None,
        echoes: int = 0,
    ) -> None:
        """Begin at the moment in which the overlap was confirmed as speech.

        Args:
            onset_sample: First sample of the first hop of its speech, on the media clock.
            confirmed_sample: When it was known to be speech.
            agent: What the agent says.
            settings: How much evidence is needed.
            echoes: Verdicts in a row, just before, that it was the agent's own voice.
        """
        self._settings = settings or OverlapSettings()
        self._agent = agent
        self._is_echo_likely = echoes >= self._settings.many_echoes
        self._onset = onset_sample
        # The last hop before it is over: the next one would come too late.
        self._deadline = confirmed_sample + samples(self._settings.verdict_s) - HOP + 1
        self._speech = confirmed_sample - onset_sample
        self._speech_end = self._now = confirmed_sample
        self._above_echo = 0
        self._judged_hops = 0
        self._hops = 0
        self._posteriors = 0.0
        self._latest: deque[float] = deque(maxlen=samples(self._settings.unknown_s) // HOP)
        self._words: OverlapWords | None = None
        self._reading = self._early_reading = Reading.NONE
        self._nod: list[str] = []
        self._loudest_echo = SILENT_DBFS
        self._power = 0.0
        self._share = 0.0
        self._hotword: Hotword | None = None
        self._veto = EchoVeto(self._settings.echo_share)
        self.verdict = Overlap(OverlapKind.UNDECIDED, confirmed_sample, "speech over the agent")

    def push(self, evidence: OverlapHop | OverlapWords | Hotword) -> Overlap:
        """Take one piece of evidence; return the verdict as it stands."""
        match evidence:
            case OverlapHop():
                self._on_hop(evidence)
            case OverlapWords():
                self._words = evidence
                self._reading = self._read(evidence.words, self._settings.least_confidence)
                self._early_reading = self._read_early(evidence)
                self._hold_against_nod(evidence.words)
                self._share = self._veto.share(self._texts(), self._agent.around)
                self._now = max(self._now, evidence.at_sample)
            case Hotword():
                self._hotword = evidence
        if self.verdict.kind is not OverlapKind.INTERRUPTION:
            kind, reason = self._judge()
            if kind is not OverlapKind.UNDECIDED and kind is not self.verdict.kind:
                self.verdict = Overlap(kind, self._now, reason, self._figures())
        return self.verdict

    def _on_hop(self, hop: OverlapHop) -> None:
        self._now = hop.at_sample
        self._latest.append(hop.probability)
        self._loudest_echo = max(self._loudest_echo, hop.echo_dbfs)
        if not self._is_over:
            self._hops += 1
            self._posteriors += hop.probability
        if hop.probability < self._settings.speech_probability:
            return
        if hop.at_sample - self._speech_end > samples(self._settings.over_s):
            # What comes after a pause is judged for itself: nods do not add up to a turn.
            self._speech, self._hops, self._posteriors = 0, 1, hop.probability
        self._speech += HOP
        self._speech_end = hop.at_sample
        self._judged_hops += 1
        self._power += 10 ** (hop.level_dbfs / 10)
        self._above_echo += hop.level_dbfs >= hop.echo_dbfs + self._settings.echo_margin_db

    @property
    def _mean_posterior(self) -> float:
        return self._posteriors / self._hops if self._hops else 1.0

    @property
    def _is_clear(self) -> bool:
        """Whether a voice is heard so well that its words count."""
        settings = self._settings
        if self._may_be_anything:
            return self._is_held
        if not self._is_echo_loud:
            return self._mean_posterior >= settings.clear
        steady = settings.steady_after_echoes if self._is_echo_likely else settings.steady_in_echo
        return self._mean_posterior >= steady

    @property
    def _may_be_anything(self) -> bool:
        """Whether our own voice comes back, and it is not known what it says."""
        return not self._agent.around and self._loudest_echo > SILENT_DBFS

    @property
    def _is_held(self) -> bool:
        """Whether a voice has gone on for so long that no canceller left it of our own.

        It gates what it leaves, so that comes in bursts, each as clear as a person's and as loud.
        """
        latest, settings = self._latest, self._settings
        is_long = len(latest) == latest.maxlen
        return is_long and sum(latest) >= settings.steady_unknown * len(latest)

    @property
    def _goes_on(self) -> bool:
        """Whether the voice is so steady that it takes the floor by going on."""
        if self._may_be_anything:
            return self._is_held
        return self._mean_posterior >= self._settings.steady

    @property
    def _is_far_from_echo(self) -> bool:
        """Whether this is so much louder than our own voice would be that it cannot be part of it.

        Told by the loudest echo since the onset: the agent is paused, and its echo with it.
        """
        if not self._judged_hops:
            return False
        level_dbfs = 10 * math.log10(self._power / self._judged_hops)
        return level_dbfs >= self._loudest_echo + self._settings.far_from_echo_db

    @property
    def _is_over(self) -> bool:
        return self._now - self._speech_end >= samples(self._settings.over_s)

    @property
    def _is_settled(self) -> bool:
        """Whether the words take all the speech into account."""
        return self._words is not None and self._words.end_sample >= self._speech_end

    @property
    def _is_echo_loud(self) -> bool:
        return 2 * self._above_echo < self._judged_hops

    def _texts(self) -> list[str]:
        return [word.text for word in self._words.words] if self._words else []

    def _hold_against_nod(self, words: Sequence[Word]) -> None:
        """Take words that come in a nod's place for one, unless the recogniser is sure of them.

        A hum is read as "Huh" first, and then as "Come on".
        """
        texts = [token for word in words for token in tokens(word.text)]
        if self._reading is Reading.BACKCHANNEL:
            self._nod = texts
        elif self._reading in _WORDS and self._nod and texts[: len(self._nod)] != self._nod:
            confidence = sum(word.confidence for word in words) / len(words)
            if confidence < self._settings.sure:
                self._reading = self._early_reading = Reading.LIKELY_BACKCHANNEL

    def _read_early(self, heard: OverlapWords) -> Reading:
        """What the words are together with the one that is still being spoken.

        It may become another, but two words in a row that no listener says tell an order from a nod
        a reading sooner: "make m", "I w".
        """
        if heard.unfinished is None:
            return self._reading
        words = (*heard.words, heard.unfinished)
        confidence = sum(word.confidence for word in words) / len(words)
        is_heard = confidence >= self._settings.least_confidence
        return self._read(words, 0.0) if is_heard else self._reading

    def _read(self, words: Sequence[Word], least: float) -> Reading:
        texts = [word.text for word in words]
        own = [False] * len(words)
        if self._settings.echo_share <= 1.0:
            if texts and self._veto.repeats(texts, self._agent.around):
                return Reading.OWN
            own = self._veto.own(texts, self._agent.around)
        sure = [word.text for word in words if word.confidence >= least]
        theirs = [
            word.text
            for word, is_own in zip(words, own, strict=True)
            if word.confidence >= least and not is_own
        ]
        reading = read(theirs, asked=self._agent.asks, content_words=self._settings.content_words)
        if reading is not Reading.EMPTY or not texts:
            return reading
        if sure:
            return Reading.OWN
        # A doubted nod is still more likely to be one than not.
        return _DOUBTED.get(read(texts, asked=False), Reading.UNSURE)

    def _judge(self) -> tuple[OverlapKind, str]:
        if self._hotword is not None:
            return _hotword_means(self._hotword)
        reading = self._early_reading if self._is_far_from_echo else self._reading
        if self._is_echo_loud and self._share >= self._settings.echo_share_at_its_level:
            reading = Reading.OWN
        spoken = self._speech
        match reading:
            case Reading.CONTENT | Reading.FLOOR_WORD | Reading.ANSWER if self._is_clear:
                return OverlapKind.INTERRUPTION, reading.value
            case Reading.OWN:
                return OverlapKind.ECHO, "repeats what the agent is saying"
            case _ if self._is_echo_loud:
                return self._when_due(OverlapKind.ECHO, "no louder than our own echo")
            case Reading.BACKCHANNEL:
                return self._when_due(OverlapKind.BACKCHANNEL, reading.value)
            case Reading.LIKELY_BACKCHANNEL if self._is_settled:
                # All of it was read: nothing goes on.
                return self._when_due(OverlapKind.BACKCHANNEL, reading.value)
            case Reading.EMPTY:
                return self._when_due(OverlapKind.NOISE, "speech without words")
            case Reading.WORD if self._is_final and self._is_clear:
                return OverlapKind.INTERRUPTION, reading.value
        if self._goes_on and spoken >= samples(self._enough_s(reading)):
            return OverlapKind.INTERRUPTION, f"speech that goes on: {reading.value}"
        if reading in _DOUBTED.values():
            return self._when_due(OverlapKind.BACKCHANNEL, reading.value)
        return self._when_due(*self._without_words(spoken))

    def _enough_s(self, reading: Reading) -> float:
        """Speech that takes the floor with these words, in seconds."""
        settings = self._settings
        is_near = not self._is_far_from_echo
        return {
            Reading.WORD: settings.word_s,
            Reading.UNSURE: settings.unsure_in_echo_s if is_near else settings.unsure_s,
            Reading.BEGINNING: settings.beginning_s,
            Reading.LIKELY_BACKCHANNEL: settings.beginning_s,
        }.get(reading, settings.floor_s)

    def _without_words(self, spoken: int) -> tuple[OverlapKind, str]:
        if spoken <= samples(self._settings.short_s) or self._is_over:
            return OverlapKind.NOISE, "too short to take the floor"
        if self._may_be_anything and not self._goes_on:
            return OverlapKind.ECHO, "may be ours: it is not known what the agent says"
        if not self._goes_on:
            return OverlapKind.NOISE, "in tatters, and nothing clear is said"
        return OverlapKind.INTERRUPTION, "time is up"

    @property
    def _is_final(self) -> bool:
        return self._is_over and self._is_settled

    def _when_due(self, kind: OverlapKind, reason: str) -> tuple[OverlapKind, str]:
        """`kind`, once nothing more can be said before it must be known."""
        was_decided = self.verdict.kind is not OverlapKind.UNDECIDED
        if was_decided and kind is OverlapKind.INTERRUPTION:
            return OverlapKind.UNDECIDED, ""
        if self._now >= self._deadline or self._is_final:
            return kind, reason
        return OverlapKind.UNDECIDED, ""

    def _figures(self) -> dict[str, float | str]:
        return {
            "speech_s": round(seconds(self._speech), 3),
            "since_onset_s": round(seconds(self._now - self._onset), 3),
            "posterior": round(self._mean_posterior, 2),
            "above_echo": round(self._above_echo / max(self._judged_hops, 1), 2),
            "echo_share": round(self._share, 2),
            "words": " ".join(self._texts()),
        }


_WORDS = (Reading.CONTENT, Reading.WORD)

_DOUBTED = {
    Reading.BACKCHANNEL: Reading.LIKELY_BACKCHANNEL,
    Reading.BEGINNING: Reading.BEGINNING,
}
"""What words are that would be so if the recogniser did not doubt them."""


def _hotword_means(hotword: Hotword) -> tuple[OverlapKind, str]:
    if hotword.action is HotwordAction.GO_ON:
        return OverlapKind.BACKCHANNEL, f'hotword "{hotword.phrase}"'
    return OverlapKind.INTERRUPTION, f'hotword "{hotword.phrase}"'
