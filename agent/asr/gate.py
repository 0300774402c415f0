"""Which audio reaches the recogniser, and when an utterance opens and closes. Pure."""

from dataclasses import dataclass
from enum import Enum, auto

from agent.audio.chunk import SAMPLE_RATE, Int16Array, PcmChunk, samples
from agent.audio.ring import PRE_ROLL_SAMPLES, PreRoll
from agent.vad.endpointer import Endpointer, SpeechStarted
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP

_ABANDON_AFTER = samples(1.0)
"""Silence that closes an utterance which was never confirmed as speech."""

_UNCONFIRMED_MAX = samples(2.0)
"""An utterance that noise keeps open is not worth recognising longer than this."""


@dataclass(frozen=True, slots=True)
class Open:
    """An utterance begins.

    Attributes:
        utterance_id: Its number, from 1.
        pre_roll: Audio from before speech was noticed; not yet speech. The recogniser's first.
    """

    utterance_id: int
    pre_roll: PcmChunk


@dataclass(frozen=True, slots=True)
class Feed:
    """Audio of the open utterance.

    Attributes:
        pcm: Shape (n,), int16, 16 kHz.
        is_speech: Whether it is speech; a short pause in speech belongs to it.
        is_quiet: Whether nothing is said in this very chunk.
    """

    pcm: Int16Array
    is_speech: bool
    is_quiet: bool


class Step(Enum):
    """What else becomes of the open utterance."""

    CONFIRM = auto()
    """It is speech."""

    SETTLE = auto()
    """All audio so far is to be recognised now."""

    FINISH = auto()
    """It is over: its final is due."""

    DROP = auto()
    """It was no speech: it has no final."""


Order = Open | Feed | Step


class RecognitionGate:
    """Cuts the microphone's audio into utterances for a recogniser. Pure.

    It opens from 360 ms before speech was noticed and stays open until the turn is decided, so a
    pause inside a turn loses nothing. Speech that goes on then opens it anew at once: what is said
    while a final is still awaited belongs to the next utterance.
    """

    def __init__(self) -> None:
        self._readings = READINGS[Profile.SHORT]
        self._prefetch = Endpointer(self._readings.prefetch, SAMPLE_RATE, HOP)
        self._confirmation = Endpointer(self._readings.confirmation, SAMPLE_RATE, HOP)
        self._ring = PreRoll(PRE_ROLL_SAMPLES)
        self._opened_at: int | None = None
        self._was_speech = False
        self._is_pausing = True
        self._is_settled = False
        self.utterance_id = 0
        """Of the utterance that was opened last."""
        self.is_confirmed = False
        """Whether that one is known to be speech."""

    @property
    def is_open(self) -> bool:
        """Whether audio goes to the recogniser."""
        return self._opened_at is not None

    @property
    def is_speech(self) -> bool:
        """Whether the latest hop may be speech."""
        return self._prefetch.is_speech or self._confirmation.is_speech

    @property
    def end_sample(self) -> int:
        """Just after the newest audio, on the media clock."""
        return self._ring.end_sample

    @property
    def silence(self) -> int:
        """Samples since the last speech."""
        return self.end_sample - self._prefetch.last_speech_end

    def adopt(self, profile: Profile) -> None:
        """Read the posterior as the dialogue leads to, from now on."""
        self._readings = READINGS[profile]
        self._prefetch.adopt(self._readings.prefetch)
        self._confirmation.adopt(self._readings.confirmation)

    def push(self, hop: PcmChunk, probability: float) -> list[Order]:
        """Take one hop and its speech posterior; return what the recogniser is to do, in order."""
        at = hop.end_sample
        self._ring.push(hop)
        noticed = self._prefetch.push(probability, at)
        confirmed = self._confirmation.push(probability, at)
        if self._opened_at is None:
            starts = isinstance(noticed, SpeechStarted) or isinstance(confirmed, SpeechStarted)
            return self._open() if starts else []
        is_quiet = probability < self._readings.prefetch.off_probability
        orders: list[Order] = [Feed(hop.pcm, self.is_speech, is_quiet)]
        orders += self._confirm()
        if self._settles(probability, is_quiet):
            orders.append(Step.SETTLE)
        if not self.is_confirmed and self._is_noise(at, self._opened_at):
            self._opened_at = None
            orders.append(Step.DROP)
        return orders

    def close(self) -> list[Order]:
        """The turn is decided; return what the recogniser is to do, in order."""
        if self._opened_at is None:
            return []
        self._opened_at = None
        # Speech that began since the turn was decided opens no gate any more: it is open.
        return [Step.FINISH, *(self._open() if self.is_speech else [])]

    def _open(self) -> list[Order]:
        pre_roll = self._ring.since(self.end_sample - PRE_ROLL_SAMPLES)
        self.utterance_id += 1
        self._opened_at = pre_roll.start_sample
        self.is_confirmed = self._was_speech = self._is_settled = False
        self._is_pausing = True
        return [Open(self.utterance_id, pre_roll), *self._confirm()]

    def _confirm(self) -> list[Order]:
        if self.is_confirmed or not self._confirmation.is_speech:
            return []
        self.is_confirmed = True
        return [Step.CONFIRM]

    def _settles(self, probability: float, is_quiet: bool) -> bool:
        """Recognise everything at the first hop of silence, and again where it was no silence yet.

        Most pauses turn out too short to matter and cost one decode; the one that ends the turn
        has its text that much earlier and its final for nothing. Only where more than silence
        came since, a voice trailing off, is it read once more when the pause counts.
        """
        is_due = False
        if probability >= self._readings.gate:
            self._is_pausing = False
        elif not self._is_pausing:
            self._is_pausing = self._is_settled = is_due = True
        elif not is_quiet:
            self._is_settled = False
        if self._was_speech and not self.is_speech and not self._is_settled:
            is_due = True
        self._was_speech = self.is_speech
        return is_due

    def _is_noise(self, at: int, opened_at: int) -> bool:
        return self.silence > _ABANDON_AFTER or at - opened_at > _UNCONFIRMED_MAX
