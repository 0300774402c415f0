"""Readings of the speech posterior: where speech starts and stops. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EndpointerSettings:
    """How one reading turns the posterior into speech and silence.

    The thresholds are for Silero's posterior; SODA's (DESIGN.md) are on another scale.
    """

    on_probability: float = 0.5
    """A hop at or above this counts as speech. Lower hears quiet starts, and more noise."""

    off_probability: float = 0.35
    """A hop below this counts as silence. Between the two, whatever held goes on."""

    min_speech_s: float = 0.096
    """Speech this long starts a segment. A click or a bump is shorter."""

    min_silence_s: float = 0.096
    """Silence this long ends a segment: longer than a stop consonant's closure."""


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """Speech was found.

    Attributes:
        start_sample: First sample of the first hop of this speech.
        at_sample: When it was known.
    """

    start_sample: int
    at_sample: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """Speech has ended.

    Attributes:
        end_sample: Just after the last hop of speech.
        at_sample: When it was known.
    """

    end_sample: int
    at_sample: int


class Endpointer:
    """One reading of the posterior: hysteresis in probability and in time. Pure."""

    def __init__(self, settings: EndpointerSettings, sample_rate: int, hop: int) -> None:
        self._rate = sample_rate
        self._hop = hop
        self.adopt(settings)
        self.is_speech = False
        self._run_start: int | None = None
        self._last_speech_end = 0

    def adopt(self, settings: EndpointerSettings) -> None:
        """Read on with other thresholds; whether it is speech now does not change."""
        self._settings = settings
        self._min_speech = settings.min_speech_s * self._rate
        self._min_silence = settings.min_silence_s * self._rate

    @property
    def last_speech_end(self) -> int:
        """Just after the last hop that counted as speech; 0 before any."""
        return self._last_speech_end

    def push(self, probability: float, end_sample: int) -> SpeechStarted | SpeechStopped | None:
        """Read one hop.

        Args:
            probability: The hop's speech posterior.
            end_sample: Just after the hop's last sample, on the media clock.
        """
        if self.is_speech:
            return self._while_speech(probability, end_sample)
        return self._while_silence(probability, end_sample)

    def _while_silence(self, probability: float, end_sample: int) -> SpeechStarted | None:
        if probability < self._settings.on_probability:
            # One weak hop inside a starting word must not begin the count anew.
            if probability < self._settings.off_probability:
                self._run_start = None
            return None
        if self._run_start is None:
            self._run_start = end_sample - self._hop
        if end_sample - self._run_start < self._min_speech:
            return None
        self.is_speech = True
        self._last_speech_end = end_sample
        started = SpeechStarted(start_sample=self._run_start, at_sample=end_sample)
        self._run_start = None
        return started

    def _while_speech(self, probability: float, end_sample: int) -> SpeechStopped | None:
        if probability >= self._settings.off_probability:
            self._last_speech_end = end_sample
            return None
        if end_sample - self._last_speech_end < self._min_silence:
            return None
        self.is_speech = False
        return SpeechStopped(end_sample=self._last_speech_end, at_sample=end_sample)
