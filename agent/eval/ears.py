"""Which of the agent's words the caller has heard, by the sound alone. Pure.

Every stretch the voice made is kept, and looked for in what left the loudspeaker. So the score does
not rest on what the agent says of itself, and a stranger's pipeline is scored the same way.
"""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from agent.audio.chunk import Float32Array, Int16Array
from agent.audio.resample import resample
from agent.tts.speech import Speech, Voice

_RATE = 8_000
_ALIKE = 0.88
"""Correlation from which on two stretches are the same sound. What was heard has 1.0, through a
telephone 0.95; of short words another one may come to 0.85."""

_HEARD_SHARE = 0.55
"""Of a word: it counts as heard once more than half has sounded, as in the agent's own ledger."""

_MOST_PENDING = 12
"""The newest stretches that were not heard yet are looked for; older ones were drafts."""

_SHORTEST = round(0.06 * _RATE)
_OPENING = round(0.25 * _RATE)
"""Of another stretch that must sound before it is taken for the one that is heard now."""

_BACK = round(0.08 * _RATE)
"""Looked at again with each packet: two words may end in the same one."""


@dataclass(frozen=True, slots=True)
class HeardWord:
    """A word of the agent's, as it was heard.

    Attributes:
        text: As written.
        start_s: On the caller's clock.
        end_s: Likewise; of a word that was cut, when it would have ended.
        number: Among all words the voice has made, heard or not.
    """

    text: str
    start_s: float
    end_s: float
    number: int


class TappedVoice:
    """A voice that keeps what it made."""

    def __init__(self, voice: Voice) -> None:
        self._voice = voice
        self.made: list[Speech] = []

    @property
    def name(self) -> str:
        """Of the voice within."""
        return self._voice.name

    @property
    def sample_rate(self) -> int:
        """Of the voice within."""
        return self._voice.sample_rate

    def speak(self, clause: str) -> Iterator[Speech]:
        """Speak, and keep it."""
        for speech in self._voice.speak(clause):
            self.made.append(speech)
            yield speech


@dataclass(frozen=True, slots=True)
class _Template:
    text: str
    stretch: int
    index: int
    number: int
    sound: Float32Array
    opening: Float32Array
    length_s: float


class WordEar:
    """Finds the words of a voice in the agent's audio, packet by packet."""

    def __init__(self, voice: TappedVoice, sample_rate: int) -> None:
        """Begin before the first word.

        Args:
            voice: What speaks.
            sample_rate: Of the agent's audio as it sounds; a multiple of 8 kHz.
        """
        self._voice = voice
        self._rate = sample_rate
        self.made = 0
        """Words the voice has made so far."""
        self._known: list[list[_Template]] = []
        self._stretch, self._next, self._number = -1, 0, -1
        self._track = np.zeros(0, np.float32)
        self._start_s = 0.0
        self._after_s = 0.0

    def push(self, at_s: float, pcm: Int16Array) -> list[HeardWord]:
        """Hear a packet that begins to sound at `at_s`; return the words that have become clear."""
        self._learn()
        self._append(at_s, pcm)
        found: list[HeardWord] = []
        fresh = len(pcm) * _RATE // self._rate + _BACK
        while best := self._best(fresh):
            template, position = best
            found += self._skipped(template)
            start_s = self._start_s + position / _RATE
            found.append(_heard(template, start_s))
            self._stretch, self._next = template.stretch, template.index + 1
            self._number = template.number
            self._after_s = start_s + _HEARD_SHARE * template.length_s / 2
        return found

    def _learn(self) -> None:
        for number in range(len(self._known), len(self._voice.made)):
            made = _templates(self._voice.made[number], number, self.made, self._rate)
            self._known.append(made)
            self.made += len(made)

    def _append(self, at_s: float, pcm: Int16Array) -> None:
        end_s = self._start_s + len(self._track) / _RATE
        gap = round((at_s - end_s) * _RATE)
        pieces = [self._track, np.zeros(min(max(gap, 0), 2 * _RATE), np.float32)]
        self._track = np.concatenate([*pieces, _narrow(pcm, self._rate)])[-3 * _RATE :]
        # Packets follow one another without a gap; what is rounded must not add up.
        ends_at = max(end_s, at_s) if gap > 1 else end_s
        self._start_s = ends_at + len(pcm) / self._rate - len(self._track) / _RATE

    def _candidates(self) -> Iterator[tuple[_Template, Float32Array]]:
        """What may sound next: the words that follow, or the beginning of a later stretch."""
        if self._stretch >= 0:
            for template in self._known[self._stretch][self._next : self._next + 3]:
                yield template, template.sound
        for later in self._known[self._stretch + 1 :][-_MOST_PENDING:]:
            for template in later[:2]:
                yield template, template.opening

    def _best(self, fresh: int) -> tuple[_Template, int] | None:
        for template, sound in self._candidates():
            length = len(sound)
            first = max(0, len(self._track) - length - fresh)
            first = max(first, round((self._after_s - self._start_s) * _RATE))
            if len(self._track) - first < length:
                continue
            part = self._track[first:]
            power = np.concatenate([[0.0], np.cumsum(part.astype(np.float64) ** 2)])
            energy = np.maximum(power[length:] - power[:-length], 1.0)
            alike = np.correlate(part, sound, "valid") / np.sqrt(energy)
            at = int(np.argmax(alike))
            if alike[at] > _ALIKE:
                return template, first + at
        return None

    def _skipped(self, template: _Template) -> list[HeardWord]:
        """Words before one that was heard, which a pause in their middle hid from us."""
        every = [word for stretch in self._known for word in stretch]
        passed = every[self._number + 1 : template.number]
        # More than one or two were never heard: another answer has begun.
        goes_on = template.stretch == self._stretch or len(passed) == 1
        return [_heard(word, self._after_s) for word in passed] if goes_on else []


def _heard(template: _Template, start_s: float) -> HeardWord:
    return HeardWord(
        template.text,
        round(start_s, 3),
        round(start_s + template.length_s, 3),
        template.number,
    )


def _templates(speech: Speech, stretch: int, first: int, rate: int) -> list[_Template]:
    pcm = speech.pcm
    if speech.sample_rate != rate:
        pcm = resample(pcm, speech.sample_rate, rate)
    sound = _narrow(pcm, rate)
    found: list[_Template] = []
    for word in speech.words:
        length_s = word.end_s - word.start_s
        start = round(word.start_s * _RATE)
        count = max(_SHORTEST, round(_HEARD_SHARE * length_s * _RATE))
        part = _unit(sound[start : start + count])
        if part is None:  # All but silent: take the whole word.
            part = _unit(sound[start : start + round(length_s * _RATE)], quietest=0.0)
        opening = _unit(sound[start : start + max(count, _OPENING)], quietest=0.0)
        if part is not None and opening is not None:
            place = (stretch, len(found), first + len(found))
            found.append(_Template(word.text, *place, part, opening, length_s))
    return found


def _unit(sound: Float32Array, quietest: float = 100.0) -> Float32Array | None:
    """Scale to length one; None for what is quieter than `quietest`, in root mean square."""
    norm = float(np.linalg.norm(sound))
    if norm <= quietest * np.sqrt(max(len(sound), 1)):
        return None
    unit: Float32Array = sound / np.float32(norm)
    return unit


def _narrow(pcm: Int16Array, rate: int) -> Float32Array:
    step = rate // _RATE
    whole = len(pcm) // step * step
    narrow: Float32Array = pcm[:whole].reshape(-1, step).mean(axis=1, dtype=np.float32)
    return narrow
