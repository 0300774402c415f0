"""Moonshine as a streaming recogniser: the open window is read again as it grows.

Moonshine reads whole stretches, so a partial result is a reading of all audio since the window
began, with the text before as draft. To keep a long utterance affordable, words that two readings
agree on are settled, and the window moves on to a quiet place before the last few of them; these
stay in front of the next readings as forced text, so that the cut can neither lose a word nor
double one.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from agent.asr.agreement import agreed, showable
from agent.asr.cut import quietest_gap
from agent.asr.hypothesis import Hypothesis, Word
from agent.asr.moonshine import Transcript
from agent.asr.schedule import DecodeSchedule
from agent.audio.chunk import Float32Array, Int16Array, samples, to_float


@dataclass(frozen=True, slots=True)
class StreamingSettings:
    """How often to read, and how much."""

    first_partials_s: tuple[float, ...] = (0.2, 0.35, 0.5, 0.7)
    """Speech before each of the first readings, of 45 ms of a core each. They tell a nod over the
    agent from an order (`benchmarks/overlap.py`); more of them tell it no sooner."""

    partial_every_s: float = 0.35
    """Speech between the readings that follow. Each costs the processor 0.02 (tiny) to 0.03 (base)
    of the open window's length."""

    window_s: float = 9.0
    """Open audio from which on the window is cut. Longer reads a little better, costs more."""

    kept_s: float = 5.0
    """Open audio left by a cut, at the most where there is a gap to cut in."""

    settled_before_end_s: float = 1.5
    """Words nearer than this to the end of the audio are not settled, agreed or not."""

    edge_s: float = 0.12
    """A last word that ends this close to the end of the audio is still being spoken and not shown
    in a partial."""

    settled_tail_s: float = 0.064
    """Silence put behind speech that has just stopped, as if it had lasted so long. The text of 130
    orders then ends in a full stop as often (0.88) as that of 0.064 s later (0.91); without, in
    0.72 of them, and who listens for the end of a turn wants to know."""

    pause_s: float = 3.0
    """Silence after which the text before it is closed and its audio let go."""


_FORCED_WORDS = 2
"""Settled words kept in front of a cut window, at the least: they cover what the cut may hurt."""

_PREROLL_S = 0.5
"""Audio kept in a long pause: the speech detector notices a word after it has begun."""

_PATIENCE = 1.5
"""How many times `window_s` the window may grow while readings disagree; then it is cut anyway."""


class Transcriber(Protocol):
    """Reads a stretch of audio: `agent.asr.moonshine.Moonshine`."""

    def transcribe(
        self, signal: Float32Array, draft: Sequence[int] = (), forced: int = 0
    ) -> Transcript:
        """Recognise `signal`, beginning with the first `forced` tokens of `draft`."""
        ...


class StreamingMoonshine:
    """A `Recogniser` for one conversation, over weights that are shared.

    Results depend on the audio and on which of it is called speech, never on how it was chunked, as
    long as chunks are shorter than the time between readings. One that is longer is a backlog: of
    the readings due in it the newest is made, and those without which the window would not move.
    """

    def __init__(self, model: Transcriber, settings: StreamingSettings | None = None) -> None:
        self._model = model
        self._settings = settings or StreamingSettings()
        self.start(utterance_id=0, start_sample=0)

    def start(self, utterance_id: int, start_sample: int) -> None:
        """Begin an utterance whose first sample stands at `start_sample`."""
        self._utterance_id = utterance_id
        self._start_sample = self._window_start = self._end_sample = start_sample
        self._chunks: list[Int16Array] = []
        self._schedule = DecodeSchedule(
            [samples(speech_s) for speech_s in self._settings.first_partials_s],
            samples(self._settings.partial_every_s),
        )
        # Words before the window; the tokens of those of them that its audio still holds; and the
        # last reading of the window, without these.
        self._settled: tuple[Word, ...] = ()
        self._forced: tuple[tuple[int, ...], ...] = ()
        self._open = _Reading((), (), start_sample)
        self._is_settled = False
        self._is_closed = False  # a long pause has closed all text before it
        self._pause_left = samples(self._settings.pause_s)

    def push(self, pcm: Int16Array, is_speech: bool = True) -> Hypothesis | None:
        """Append audio; return a tentative hypothesis if one fell due in it."""
        newest = None
        while len(pcm):
            until = self._schedule.until_due(len(pcm)) if is_speech else self._pause_left
            head, pcm = pcm[:until], pcm[until:]
            self._chunks.append(head)
            self._end_sample += len(head)
            if is_speech:
                newest = self._hear(len(head), len(pcm)) or newest
            else:
                self._wait(len(head))
        return newest

    def settle(self) -> Hypothesis:
        """Recognise all audio so far, now; still tentative. Free if only silence came since."""
        if not self._is_settled and not self._is_closed:
            self._read(samples(self._settings.settled_tail_s))
        self._is_settled = True
        return self._hypothesis(self._settled + self._open.words)

    def finish(self) -> Hypothesis:
        """Close the utterance; free if only silence came since it was settled."""
        if not self._is_settled:
            self.settle()
        return self._hypothesis(self._settled + self._open.words, is_final=True)

    def _hear(self, taken: int, following: int) -> Hypothesis | None:
        self._is_settled = self._is_closed = False
        self._pause_left = samples(self._settings.pause_s)
        if not self._schedule.advance(taken):
            return None
        is_stale = self._schedule.comes_within(following)
        return None if is_stale and not self._is_window_full() else self._partial()

    def _wait(self, taken: int) -> None:
        self._pause_left -= taken
        if self._pause_left > 0:
            return
        # However long the pause lasts, its audio does not pile up.
        self._pause_left = samples(self._settings.pause_s)
        if not self._is_settled:
            self.settle()
        self._is_closed = True
        self._settled += self._open.words
        self._forced = ()
        self._open = _Reading((), (), self._end_sample)
        kept = self._joined()[-samples(_PREROLL_S) :]
        self._chunks = [kept]
        self._window_start = self._end_sample - len(kept)

    def _partial(self) -> Hypothesis | None:
        earlier = self._open
        self._read()
        if self._is_window_full():
            self._move_window(earlier)
        heard = self._settled + self._open.words
        words = showable(heard, self._end_sample, samples(self._settings.edge_s))
        if not words:
            return None
        unfinished = heard[-1] if len(heard) > len(words) else None
        return replace(self._hypothesis(words), unfinished=unfinished)

    def _is_window_full(self) -> bool:
        return self._end_sample - self._window_start > samples(self._settings.window_s)

    def _read(self, tail: int = 0) -> None:
        """Recognise the open window, `tail` samples of silence behind it, with what is known."""
        forced = [token for word in self._forced for token in word]
        draft = [token for word in self._open.word_tokens for token in word]
        signal = np.concatenate([self._window(), np.zeros(tail, np.float32)])
        transcript = self._model.transcribe(signal, forced + draft, len(forced))
        self._open = self._without_forced(transcript)

    def _without_forced(self, transcript: Transcript) -> "_Reading":
        known = len(self._forced)
        words = tuple(_shifted(word, self._window_start) for word in transcript.words[known:])
        return _Reading(words, transcript.word_tokens[known:], self._end_sample)

    def _move_window(self, earlier: "_Reading") -> None:
        """Settle what two readings agree on and leave the audio of most of it behind."""
        signal = self._window()
        limit = self._end_sample - samples(self._settings.settled_before_end_s)
        must = len(signal) > samples(self._settings.window_s * _PATIENCE)
        count = len(self._open.words) if must else agreed(earlier.words, self._open.words)
        while count and self._open.words[count - 1].end_sample > limit:
            count -= 1
        tokens = self._forced + self._open.word_tokens[:count]
        settled = self._settled + self._open.words[:count]
        # The settled words whose audio the window still holds.
        held = [
            _shifted(word, -self._window_start) for word in settled[len(settled) - len(tokens) :]
        ]
        earliest = len(signal) - samples(self._settings.kept_s)
        leavable = held[: max(len(held) + 1 - _FORCED_WORDS, 0)]
        cut = quietest_gap(signal, leavable, earliest, len(signal)) or quietest_gap(
            signal, leavable, 0, earliest
        )
        if must and (cut is None or cut[0] < earliest - samples(self._settings.kept_s)):
            # Hardly a word in a long window: music or noise that was taken for speech.
            at = max(earliest, held[-1].end_sample if held else 0)
            cut = at, len(held)
        if cut is None:
            return
        at, before = cut
        self._settled = settled
        self._forced = tokens[before:]
        self._open = self._open.after(count)
        self._chunks = [self._chunks[0][at:]]
        self._window_start += at

    def _window(self) -> Float32Array:
        return to_float(self._joined())

    def _joined(self) -> Int16Array:
        if len(self._chunks) != 1:
            self._chunks = [np.concatenate(self._chunks or [np.zeros(0, np.int16)])]
        return self._chunks[0]

    def _hypothesis(self, words: tuple[Word, ...], is_final: bool = False) -> Hypothesis:
        return Hypothesis(
            utterance_id=self._utterance_id,
            text=" ".join(word.text for word in words),
            words=words,
            is_final=is_final,
            start_sample=self._start_sample,
            end_sample=self._end_sample,
        )


@dataclass(frozen=True, slots=True)
class _Reading:
    """The words of the open window, on the media clock, and their tokens."""

    words: tuple[Word, ...]
    word_tokens: tuple[tuple[int, ...], ...]
    end_sample: int

    def after(self, count: int) -> "_Reading":
        """Without the first `count` words."""
        return _Reading(self.words[count:], self.word_tokens[count:], self.end_sample)


def _shifted(word: Word, by: int) -> Word:
    return replace(word, start_sample=word.start_sample + by, end_sample=word.end_sample + by)
