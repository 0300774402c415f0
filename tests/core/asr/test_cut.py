import numpy as np

from agent.asr.cut import quietest_gap
from agent.asr.hypothesis import Word

RATE = 16_000


def loud_except(*quiet: tuple[float, float], length_s: float = 5.0) -> np.ndarray:
    """Noise of a voice's loudness with quiet stretches, given in seconds."""
    signal = np.random.default_rng(1).normal(0, 0.1, round(length_s * RATE)).astype(np.float32)
    for start, end in quiet:
        signal[round(start * RATE) : round(end * RATE)] *= 0.01
    return signal


def spoken(*spans: tuple[float, float]) -> list[Word]:
    return [Word("word", round(a * RATE), round(b * RATE), 1.0) for a, b in spans]


def test_cuts_in_the_pause_between_two_words():
    signal = loud_except((2.0, 2.2))
    found = quietest_gap(signal, spoken((0.5, 1.0), (1.0, 2.0), (2.2, 3.0)), 0, len(signal))
    assert found is not None
    at, before = found
    assert 2.0 * RATE <= at <= 2.2 * RATE
    assert before == 2


def test_borders_that_are_a_little_off_still_find_the_pause():
    signal = loud_except((2.0, 2.1))
    at, _ = quietest_gap(signal, spoken((1.0, 1.95), (1.95, 3.0)), 0, len(signal))
    assert 2.0 * RATE <= at <= 2.1 * RATE


def test_a_pause_beats_the_short_closure_of_a_plosive():
    signal = loud_except((1.0, 1.02), (3.0, 3.15))
    words = spoken((0.2, 1.0), (1.02, 2.0), (2.0, 3.0), (3.15, 4.0))
    at, before = quietest_gap(signal, words, 0, len(signal))
    assert (before, 3.0 * RATE <= at <= 3.15 * RATE) == (3, True)


def test_only_gaps_within_the_range_count():
    signal = loud_except((1.0, 1.2), (3.0, 3.1))
    words = spoken((0.2, 1.0), (1.2, 3.0), (3.1, 4.0))
    _, before = quietest_gap(signal, words, 2 * RATE, len(signal))
    assert before == 2
    assert quietest_gap(signal, words, round(3.5 * RATE), len(signal)) is None
    assert quietest_gap(signal, words, 0, RATE // 2) is None


def test_one_word_or_none_has_no_gap():
    signal = loud_except((1.0, 1.2))
    assert quietest_gap(signal, spoken((0.2, 1.0)), 0, len(signal)) is None
    assert quietest_gap(signal, [], 0, len(signal)) is None
