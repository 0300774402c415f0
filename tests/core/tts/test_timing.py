"""Word times, pauses and windows: arithmetic on samples and steps."""

from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pytest import approx

from agent.tts.pauses import LEAD_S, pause_after, trim_end, trim_start
from agent.tts.phonemes import PronouncedWord, Pronunciation, cut
from agent.tts.speech import Speech, SpokenWord
from agent.tts.timing import shift, word_times
from agent.tts.windows import CONTEXT, Joiner, Window, plan_windows

RATE = 24_000


def test_words_last_as_long_as_their_phonemes():
    # Pad, h, a, space, b, pad; 40 steps a second.
    durations = np.array([8, 2, 4, 4, 6, 8])
    words = [PronouncedWord("ha", 0, 2), PronouncedWord("b", 3, 4)]
    assert word_times(words, durations) == (
        SpokenWord("ha", 0.2, 0.35),
        SpokenWord("b", 0.45, 0.6),
    )


def test_a_word_without_sound_lasts_no_time():
    (word,) = word_times([PronouncedWord("—", 1, 1)], np.array([4, 4, 4, 4]))
    assert word == SpokenWord("—", 0.2, 0.2)


def test_shifted_words_do_not_begin_before_the_start():
    assert shift([SpokenWord("a", 0.1, 0.3)], -0.2) == (SpokenWord("a", 0.0, approx(0.1)),)


def speech_between(start_s: float, end_s: float, length_s: float) -> Speech:
    pcm = np.zeros(round(length_s * RATE), np.int16)
    pcm[round(start_s * RATE) : round(end_s * RATE)] = 8000
    return Speech(pcm, RATE, (SpokenWord("word", start_s + 0.05, end_s + 0.2),))


def test_silence_before_the_first_word_is_cut_and_the_word_begins_with_its_sound():
    trimmed = trim_start(speech_between(0.3, 0.8, 1.2))
    assert len(trimmed.pcm) / RATE == approx(1.2 - 0.3 + LEAD_S, abs=0.005)
    assert trimmed.words[0].start_s == approx(LEAD_S, abs=0.005)


def test_silence_after_the_last_word_is_the_pause():
    trimmed = trim_end(speech_between(0.3, 0.8, 1.6), 0.2)
    assert len(trimmed.pcm) / RATE == approx(1.0, abs=0.005)
    assert trimmed.words[0].end_s == approx(0.8, abs=0.005)


def test_silence_is_left_as_it_is():
    silent = Speech(np.zeros(2400, np.int16), RATE, ())
    assert len(trim_end(trim_start(silent), 0.2).pcm) == 2400


def test_pauses_follow_the_last_sign():
    assert pause_after("Yes.") > pause_after("Yes,") > pause_after("with that booking")
    assert pause_after('"Yes."') == pause_after("Yes.")
    assert pause_after("") >= 0


@given(st.integers(0, 20), st.integers(1, 600))
def test_windows_cover_every_step_once(start: int, length: int):
    windows = list(plan_windows(start, start + length, start + length + 5))
    assert windows[0].start == start
    assert windows[-1].end == start + length
    assert all(a.end == b.start for a, b in pairwise(windows))
    for window in windows:
        assert 0 <= window.run_start <= window.start < window.end <= window.run_end
        assert window.run_end <= min(window.end + CONTEXT, start + length + 5)


def test_the_first_window_is_the_same_for_every_length():
    assert {next(plan_windows(10, end, 500)) for end in (40, 100, 490)} == {Window(10, 30, 6, 34)}


@pytest.mark.parametrize("length", [15, 31, 150])
def test_joined_windows_of_one_signal_are_that_signal(length: int):
    step = 600
    signal = np.random.default_rng(0).standard_normal((length + 10) * step).astype(np.float32)
    joiner = Joiner(step)
    joined = [
        joiner.push(window, signal[window.run_start * step : window.run_end * step])
        for window in plan_windows(5, 5 + length, length + 10)
    ]
    np.testing.assert_allclose(np.concatenate(joined), signal[5 * step : -5 * step], atol=1e-6)


def pronounce(text: str) -> Pronunciation:
    words, position = [], 0
    for word in text.split(" "):
        words.append(PronouncedWord(word, position, position + len(word.rstrip(",."))))
        position += len(word) + 1
    return Pronunciation(text, tuple(words))


@given(st.lists(st.sampled_from(["a", "bcd,", "efghi", "jklmnopqrstuvwxyz", "no."]), min_size=1))
def test_cutting_keeps_every_phoneme_and_every_word(words: list[str]):
    pieces = cut(pronounce(" ".join(words)), 12)
    assert all(len(piece.phonemes) <= 12 for piece in pieces)
    assert "".join(p.phonemes.replace(" ", "") for p in pieces) == "".join(words)
    assert [word.text for piece in pieces for word in piece.words] == words
    for piece in pieces:
        assert all(0 <= w.start <= w.end <= len(piece.phonemes) for w in piece.words)


def test_a_cut_falls_on_a_pause_where_it_can():
    pieces = cut(pronounce("one two three, four five six seven"), 20)
    assert [piece.phonemes for piece in pieces] == ["one two three,", "four five six seven"]
