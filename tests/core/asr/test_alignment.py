import numpy as np

from agent.asr.alignment import monotonic_path, trim_quiet

RATE = 16_000


def attention(rows: list[tuple[int, int]], frames: int) -> np.ndarray:
    """Each row attends evenly to the frames of its (start, end)."""
    weights = np.full((len(rows), frames), 1e-4, np.float32)
    for row, (start, end) in enumerate(rows):
        weights[row, start:end] = 1.0
    return weights / weights.sum(axis=1, keepdims=True)


def test_tokens_begin_where_they_are_attended_to():
    rows = [(0, 10), (10, 25), (25, 30), (30, 60)]
    assert monotonic_path(attention(rows, 60)).tolist() == [0, 10, 25, 30]


def test_a_stray_look_backwards_does_not_break_the_order():
    weights = attention([(0, 20), (20, 40), (40, 60)], 60)
    weights[2, 5] += 0.2
    assert monotonic_path(weights).tolist() == [0, 20, 40]


def test_every_token_gets_a_frame():
    same_place = attention([(0, 5), (20, 22), (20, 22), (20, 22)], 30)
    starts = monotonic_path(same_place)
    assert (np.diff(starts) >= 1).all()


def test_more_tokens_than_frames_share_them_evenly():
    assert monotonic_path(attention([(0, 1)] * 4, 2)).tolist() == [0, 0, 1, 1]
    assert monotonic_path(np.zeros((0, 7), np.float32)).tolist() == []
    assert monotonic_path(np.zeros((0, 0), np.float32)).tolist() == []


def test_no_attention_at_all_is_still_an_order():
    starts = monotonic_path(np.zeros((3, 30), np.float32))
    assert (np.diff(starts) >= 1).all()


def test_quiet_at_the_borders_of_a_word_is_trimmed():
    signal = np.full(RATE, 1e-4, np.float32)
    signal[4000:8000] = np.random.default_rng(2).normal(0, 0.1, 4000)
    assert trim_quiet(signal, 1600, 14_400) == (4000, 8000)


def test_borders_in_steady_noise_stay():
    signal = np.random.default_rng(3).normal(0, 0.1, RATE).astype(np.float32)
    assert trim_quiet(signal, 1600, 14_400) == (1600, 14_400)


def test_a_span_too_short_to_judge_stays():
    signal = np.zeros(RATE, np.float32)
    assert trim_quiet(signal, 500, 700) == (500, 700)
    assert trim_quiet(signal, 500, 500) == (500, 500)


def test_a_constant_offset_is_not_sound():
    signal = np.full(RATE, 0.3, np.float32)
    signal[4000:8000] += np.random.default_rng(2).normal(0, 0.1, 4000).astype(np.float32)
    assert trim_quiet(signal, 1600, 14_400) == (4000, 8000)
