"""From a clause's phonemes to stretches of speech, window by window, for both tiers."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import Float32Array, to_int16
from agent.tts.pauses import pause_after, trim_end, trim_start
from agent.tts.phonemes import Phonemiser, Pronunciation, cut
from agent.tts.speech import Speech, SpokenWord
from agent.tts.timing import STEPS_PER_SECOND, shift, word_times
from agent.tts.windows import Joiner, Window, plan_windows

SAMPLE_RATE = 24_000
SAMPLES_PER_STEP = SAMPLE_RATE // STEPS_PER_SECOND

_SOFT_ONSET_STEPS = 4
"""Sounds begin up to 75 ms before the duration models say."""


@dataclass(frozen=True, slots=True)
class PredictedClause:
    """What a prosody model says of a clause.

    Attributes:
        durations: Steps of 25 ms each model input lasts, shape (n,): pad, phonemes, pad.
        decode: Gives the samples of a window's steps `run_start` to `run_end`, 600 a step.
    """

    durations: npt.NDArray[np.int64]
    decode: Callable[[Window], Float32Array]


def stream(
    clause: str,
    phonemise: Phonemiser,
    predict: Callable[[str], PredictedClause],
    longest_run: int,
) -> Iterator[Speech]:
    """Speak a clause; a text without anything to say gives nothing.

    Args:
        clause: One line of text.
        phonemise: Finds its phonemes.
        predict: Runs the prosody model on a string of phonemes.
        longest_run: Phonemes `predict` takes at once.
    """
    pieces = [p for p in cut(phonemise(clause), longest_run) if p.phonemes]
    for piece in pieces:
        is_last = piece is pieces[-1]
        pause_s = pause_after(clause if is_last else piece.phonemes)
        yield from _stream_piece(piece, predict(piece.phonemes), pause_s)


def _stream_piece(
    piece: Pronunciation, predicted: PredictedClause, pause_s: float
) -> Iterator[Speech]:
    ends = np.cumsum(predicted.durations)
    # What the pads and closing signs give is silence: neither decoded nor heard.
    start = max(0, int(ends[0]) - _SOFT_ONSET_STEPS)
    last_phoneme = max((word.end for word in piece.words), default=len(piece.phonemes))
    limit = int(ends[-1])
    end = min(limit, int(ends[last_phoneme]) + math.ceil(pause_s * STEPS_PER_SECOND))
    words = list(word_times(piece.words, predicted.durations))
    joiner = Joiner(SAMPLES_PER_STEP)
    for window in plan_windows(start, end, limit):
        pcm = to_int16(joiner.push(window, predicted.decode(window)))
        is_last = window.end == end
        begun, words = _begun_before(window.end, words, is_last)
        speech = Speech(pcm, SAMPLE_RATE, shift(begun, -window.start / STEPS_PER_SECOND))
        if is_last:
            speech = trim_end(speech, pause_s)
        yield trim_start(speech) if window.start == start else speech


def _begun_before(
    step: int, words: list[SpokenWord], is_last: bool
) -> tuple[list[SpokenWord], list[SpokenWord]]:
    limit_s = math.inf if is_last else step / STEPS_PER_SECOND
    count = sum(word.start_s < limit_s for word in words)
    return words[:count], words[count:]
