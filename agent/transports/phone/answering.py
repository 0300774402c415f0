"""Who answers a call we made: a person, or a machine; and when its beep is over. Pure.

A person says a word or two and waits. A machine goes on talking, or begins with a tone. That is
heard in the sound alone, so no model is asked and no words are needed.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from agent.audio.chunk import Int16Array, samples, seconds

_FRAME_S = 0.02
_FFT = 512

_QUIET_RMS = 200.0
"""44 dB below full scale: less is line noise on any telephone."""

_OVER_NOISE = 3.0
"""Speech is so many times louder than the quietest of the last seconds."""

_TONE_SHARE = 0.9
"""Of the power within 3 bins, 47 Hz: a voiced vowel has less than two thirds there."""

_TONE_BAND = (350.0, 2600.0)
_BEEP_S = 0.14
"""Shortest beep of answering machines, with a margin: 150 ms."""

_SAME_HZ = 40.0
"""Between two estimates of one tone: their grid is 16 Hz."""

_SIT_S = 0.2
_SIT_STEP_HZ = 150.0
"""A tone so long, followed by one so much higher, is one of the special information tones (ITU-T
E.180): 950, 1400 and 1800 Hz, 330 ms each. The number is not in service."""

_WORD_S = 0.9
_WORD_PAUSE_S = 0.9
_PAUSE_S = 1.3
"""Quiet that ends a greeting: after a lone word the first, else the second. A machine leaves up to
a second between its sentences. Measured by benchmarks/answering.py."""

_LONG_GREETING_S = 2.4
"""Speech of a machine. People are done sooner: "Smith residence, good morning" takes 1.9 s."""

_DECIDE_S = 4.0
"""By then it is decided, counted from the first word."""


class Answerer(StrEnum):
    """Who has picked up."""

    PERSON = "person"
    MACHINE = "machine"
    NOT_IN_SERVICE = "not in service"
    NOBODY = "nobody"


@dataclass(frozen=True, slots=True)
class Answered:
    """The verdict, once."""

    by: Answerer
    at_s: float
    reason: str


@dataclass(frozen=True, slots=True)
class BeepOver:
    """A machine's beep has ended: it is recording."""

    at_s: float


Finding = Answered | BeepOver


class AnswerDetector:
    """Listen to what comes after a call is answered. Pure.

    Args:
        sample_rate: Of the audio, in Hz; 8000 or more.
        patience_s: After so much silence nobody is there.
    """

    def __init__(self, sample_rate: int, patience_s: float = 8.0) -> None:
        self._rate = sample_rate
        self._frame = samples(_FRAME_S, sample_rate)
        self._patience_s = patience_s
        self._rest: Int16Array = np.zeros(0, np.int16)
        self._clock = 0
        self._floor = _QUIET_RMS
        self._first_s: float | None = None
        self._last_s = 0.0
        self._spoken_s = 0.0
        self._tone_s = 0.0
        self._tone_hz = 0.0
        self._torn = False
        self.verdict: Answered | None = None

    def push(self, pcm: Int16Array) -> list[Finding]:
        """Take audio, shape (n,), in chunks of any size."""
        waiting = np.concatenate([self._rest, pcm])
        whole = len(waiting) // self._frame * self._frame
        self._rest = waiting[whole:]
        found: list[Finding] = []
        for start in range(0, whole, self._frame):
            frame = waiting[start : start + self._frame].astype(np.float32)
            self._clock += self._frame
            found += self._hear(frame)
        return found

    def _hear(self, frame: np.ndarray) -> Iterator[Finding]:
        now_s = seconds(self._clock, self._rate)
        rms = float(np.sqrt(np.mean(frame**2)))
        loud = rms > max(_QUIET_RMS, _OVER_NOISE * self._floor)
        # The floor follows down at once and up within seconds.
        self._floor = min(max(rms, 1.0), self._floor * 1.004 + 0.1)
        pitch = self._pitch(frame) if loud else None
        yield from self._tone(pitch, now_s)
        if loud and pitch is None:
            self._first_s = now_s if self._first_s is None else self._first_s
            self._last_s = now_s
            self._spoken_s += _FRAME_S
        if self.verdict is None and (verdict := self._decide(now_s)):
            self.verdict = verdict
            yield verdict

    def _decide(self, now_s: float) -> Answered | None:
        if self._first_s is None:
            silent = now_s >= self._patience_s
            return Answered(Answerer.NOBODY, now_s, "silence") if silent else None
        greeting_s = self._last_s - self._first_s
        if greeting_s >= _LONG_GREETING_S:
            return Answered(Answerer.MACHINE, now_s, f"a greeting of {greeting_s:.1f} s so far")
        pause_s = _WORD_PAUSE_S if greeting_s < _WORD_S else _PAUSE_S
        if now_s - self._last_s >= pause_s or now_s - self._first_s >= _DECIDE_S:
            return Answered(Answerer.PERSON, now_s, f"{greeting_s:.1f} s of speech, then quiet")
        return None

    def _tone(self, pitch: float | None, now_s: float) -> Iterator[Finding]:
        if pitch is not None and (not self._tone_s or abs(pitch - self._tone_hz) < _SAME_HZ):
            self._tone_s += _FRAME_S * (1 + self._torn)
            self._tone_hz, self._torn = pitch, False
            return
        if pitch is None and self._tone_s and not self._torn:
            # A frame with two tones in it, or with a click, is not yet the end.
            self._torn = True
            return
        lasted_s, hertz = self._tone_s, self._tone_hz
        self._tone_s, self._tone_hz = (0.0, 0.0) if pitch is None else (_FRAME_S, pitch)
        self._torn = False
        if pitch is None and lasted_s >= _BEEP_S:
            yield from self._judge(Answerer.MACHINE, now_s, "a beep")
            yield BeepOver(now_s)
        elif pitch is not None and lasted_s >= _SIT_S and pitch > hertz + _SIT_STEP_HZ:
            yield from self._judge(Answerer.NOT_IN_SERVICE, now_s, "information tones")

    def _judge(self, by: Answerer, now_s: float, reason: str) -> Iterator[Finding]:
        if self.verdict is None:
            self.verdict = Answered(by, now_s, reason)
            yield self.verdict

    def _pitch(self, frame: np.ndarray) -> float | None:
        """Frequency of a pure tone, or None."""
        power = np.abs(np.fft.rfft(frame * np.hanning(len(frame)), _FFT)) ** 2
        bin_hz = self._rate / _FFT
        low, high = (round(edge / bin_hz) for edge in _TONE_BAND)
        peak = low + int(np.argmax(power[low:high]))
        width = max(1, round(_FFT / len(frame)))
        near = power[max(0, peak - 2 * width) : peak + 2 * width + 1].sum()
        if near < _TONE_SHARE * power[1:].sum():
            return None
        return peak * bin_hz
