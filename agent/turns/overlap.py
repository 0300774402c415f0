"""What speech over the agent means: a nod, a noise, our own echo, or a wish for the floor. Pure.

The ladder's last rung. The agent has been ducked and paused, both reversible; this decides, on the
sample clock and within 0.7 s of the confirmed onset, whether it goes on from the sample it was
paused at or is cut.
"""

from dataclasses import dataclass, field
from enum import Enum

from agent.audio.chunk import samples, seconds
from agent.turns.backchannels import Reading
from agent.turns.hotwords import Hotword, HotwordAction
from agent.turns.overlap_evidence import AgentSpeech, OverlapHop, OverlapWords
from agent.turns.overlap_reading import DOUBTED, OverlapReading
from agent.turns.overlap_settings import OverlapSettings
from agent.turns.overlap_sound import OverlapSound
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
        self._onset = onset_sample
        # The last hop before it is over: the next one would come too late.
        self._deadline = confirmed_sample + samples(self._settings.verdict_s) - HOP + 1
        self._sound = OverlapSound(
            onset_sample,
            confirmed_sample,
            agent,
            self._settings,
            is_echo_likely=echoes >= self._settings.many_echoes,
        )
        self._words = OverlapReading(agent, self._settings)
        self._hotword: Hotword | None = None
        self.verdict = Overlap(OverlapKind.UNDECIDED, confirmed_sample, "speech over the agent")

    def push(self, evidence: OverlapHop | OverlapWords | Hotword) -> Overlap:
        """Take one piece of evidence; return the verdict as it stands."""
        match evidence:
            case OverlapHop():
                self._sound.push(evidence)
            case OverlapWords():
                self._words.push(evidence)
                self._sound.pass_time(evidence.at_sample)
            case Hotword():
                self._hotword = evidence
        if self.verdict.kind is not OverlapKind.INTERRUPTION:
            kind, reason = self._judge()
            if kind is not OverlapKind.UNDECIDED and kind is not self.verdict.kind:
                self.verdict = Overlap(kind, self._sound.now, reason, self._figures())
        return self.verdict

    @property
    def _is_settled(self) -> bool:
        """Whether the words take all the speech into account."""
        read_until = self._words.end_sample
        return read_until is not None and read_until >= self._sound.speech_end

    def _judge(self) -> tuple[OverlapKind, str]:
        if self._hotword is not None:
            return _hotword_means(self._hotword)
        reading = self._words.early if self._sound.is_far_from_echo else self._words.reading
        if self._sound.is_echo_loud and self._words.share >= self._settings.echo_share_at_its_level:
            reading = Reading.OWN
        spoken = self._sound.speech
        match reading:
            case Reading.CONTENT | Reading.FLOOR_WORD | Reading.ANSWER if self._sound.is_clear:
                return OverlapKind.INTERRUPTION, reading.value
            case Reading.OWN:
                return OverlapKind.ECHO, "repeats what the agent is saying"
            case _ if self._sound.is_echo_loud:
                return self._when_due(OverlapKind.ECHO, "no louder than our own echo")
            case Reading.BACKCHANNEL:
                return self._when_due(OverlapKind.BACKCHANNEL, reading.value)
            case Reading.LIKELY_BACKCHANNEL if self._is_settled:
                # All of it was read: nothing goes on.
                return self._when_due(OverlapKind.BACKCHANNEL, reading.value)
            case Reading.EMPTY:
                return self._when_due(OverlapKind.NOISE, "speech without words")
            case Reading.WORD if self._is_final and self._sound.is_clear:
                return OverlapKind.INTERRUPTION, reading.value
        if self._sound.goes_on and spoken >= samples(self._enough_s(reading)):
            return OverlapKind.INTERRUPTION, f"speech that goes on: {reading.value}"
        if reading in DOUBTED.values():
            return self._when_due(OverlapKind.BACKCHANNEL, reading.value)
        return self._when_due(*self._without_words(spoken))

    def _enough_s(self, reading: Reading) -> float:
        """Speech that takes the floor with these words, in seconds."""
        settings = self._settings
        is_near = not self._sound.is_far_from_echo
        return {
            Reading.WORD: settings.word_s,
            Reading.UNSURE: settings.unsure_in_echo_s if is_near else settings.unsure_s,
            Reading.BEGINNING: settings.beginning_s,
            Reading.LIKELY_BACKCHANNEL: settings.beginning_s,
        }.get(reading, settings.floor_s)

    def _without_words(self, spoken: int) -> tuple[OverlapKind, str]:
        if spoken <= samples(self._settings.short_s) or self._sound.is_over:
            return OverlapKind.NOISE, "too short to take the floor"
        if self._sound.may_be_anything and not self._sound.goes_on:
            return OverlapKind.ECHO, "may be ours: it is not known what the agent says"
        if not self._sound.goes_on:
            return OverlapKind.NOISE, "in tatters, and nothing clear is said"
        return OverlapKind.INTERRUPTION, "time is up"

    @property
    def _is_final(self) -> bool:
        return self._sound.is_over and self._is_settled

    def _when_due(self, kind: OverlapKind, reason: str) -> tuple[OverlapKind, str]:
        """`kind`, once nothing more can be said before it must be known."""
        was_decided = self.verdict.kind is not OverlapKind.UNDECIDED
        if was_decided and kind is OverlapKind.INTERRUPTION:
            return OverlapKind.UNDECIDED, ""
        if self._sound.now >= self._deadline or self._is_final:
            return kind, reason
        return OverlapKind.UNDECIDED, ""

    def _figures(self) -> dict[str, float | str]:
        return {
            "speech_s": round(seconds(self._sound.speech), 3),
            "since_onset_s": round(seconds(self._sound.now - self._onset), 3),
            "posterior": round(self._sound.mean_posterior, 2),
            "above_echo": round(self._sound.above_echo, 2),
            "echo_share": round(self._words.share, 2),
            "words": " ".join(self._words.texts),
        }


def _hotword_means(hotword: Hotword) -> tuple[OverlapKind, str]:
    if hotword.action is HotwordAction.GO_ON:
        return OverlapKind.BACKCHANNEL, f'hotword "{hotword.phrase}"'
    return OverlapKind.INTERRUPTION, f'hotword "{hotword.phrase}"'
