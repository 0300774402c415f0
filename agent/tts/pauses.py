"""Silence before and after speech: the models' own is long at both ends of every clause. Pure."""

import numpy as np

from agent.audio.chunk import Int16Array
from agent.tts.speech import Speech, SpokenWord
from agent.tts.timing import shift

LEAD_S = 0.03
"""Kept before the first sound, for the soft onset of consonants. The models give 0.2 to 0.35 s,
all of which a caller would wait."""

_FRAME_S = 0.005
_QUIET_DB = -42.0
"""Below the loudest 5 ms of the clause: under it lies breath and decay, above it speech."""

_PAUSES_S = {".": 0.36, "!": 0.36, "?": 0.36, "…": 0.45, ":": 0.25, ";": 0.25, ",": 0.16, "—": 0.2}
_PAUSE_WITHIN_PHRASE_S = 0.02
_CLOSERS = "\"'”’)]"


def pause_after(clause: str) -> float:
    """Seconds of silence that belong after a clause: as its last sign says."""
    last = clause.rstrip(_CLOSERS)[-1:]
    return _PAUSES_S.get(last, _PAUSE_WITHIN_PHRASE_S)


def trim_start(speech: Speech) -> Speech:
    """Cut the silence before the first sound, where the first word then begins, to `LEAD_S`.

    The models' durations begin a word up to 75 ms after its sound does.
    """
    first, _ = _audible(speech)
    start = max(0, first - round(LEAD_S * speech.sample_rate))
    words = shift(speech.words, -start / speech.sample_rate)
    if words:
        onset_s = min(words[0].start_s, (first - start) / speech.sample_rate)
        words = (SpokenWord(words[0].text, onset_s, words[0].end_s), *words[1:])
    return Speech(speech.pcm[start:], speech.sample_rate, words)


def trim_end(speech: Speech, pause_s: float) -> Speech:
    """Leave at most `pause_s` after the last sound, where the last word then ends.

    The models count the silence into which a word dies away as part of it.
    """
    _, last = _audible(speech)
    end = min(len(speech.pcm), last + round(pause_s * speech.sample_rate))
    last_s = last / speech.sample_rate
    words = tuple(
        SpokenWord(word.text, min(word.start_s, last_s), min(word.end_s, last_s))
        for word in speech.words
    )
    return Speech(speech.pcm[:end], speech.sample_rate, words)


def _audible(speech: Speech) -> tuple[int, int]:
    """First sample that is loud and the one after the last; the whole stretch if none is."""
    frame = round(_FRAME_S * speech.sample_rate)
    levels = _levels(speech.pcm, frame)
    if not len(levels) or not levels.max():
        return 0, len(speech.pcm)
    loud = np.flatnonzero(levels >= levels.max() * 10 ** (_QUIET_DB / 20))
    return int(loud[0]) * frame, min(len(speech.pcm), (int(loud[-1]) + 1) * frame)


def _levels(pcm: Int16Array, frame: int) -> np.ndarray[tuple[int], np.dtype[np.float64]]:
    whole = pcm[: len(pcm) // frame * frame].astype(np.float64).reshape(-1, frame)
    return np.asarray(np.sqrt(np.mean(whole**2, axis=1)))
