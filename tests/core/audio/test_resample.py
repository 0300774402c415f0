import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.audio.chunk import Int16Array
from agent.audio.resample import StreamResampler, resample
from agent.errors import AudioFormatError

RATES = [
    (48000, 16000),
    (16000, 48000),
    (24000, 16000),
    (16000, 24000),
    (8000, 16000),
    (16000, 8000),
    (44100, 16000),
    (24000, 48000),
    (16000, 16000),
]


def _speechlike(n: int, seed: int = 1) -> Int16Array:
    noise = np.random.default_rng(seed).normal(0, 6000, n)
    return np.clip(noise, -32768, 32767).astype(np.int16)


def _tone(frequency: float, sample_rate: int, amplitude: float = 20000) -> Int16Array:
    return np.rint(
        amplitude * np.sin(2 * np.pi * frequency * np.arange(sample_rate) / sample_rate)
    ).astype(np.int16)


def _level_db(pcm: Int16Array, reference: Int16Array) -> float:
    middle = pcm[len(pcm) // 4 : -len(pcm) // 4].astype(float)
    return float(20 * np.log10(max(middle.std(), 1e-9) / reference.astype(float).std()))


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
@pytest.mark.parametrize("size", [1, 17, 512, 4801, 6000])
def test_chunks_do_not_change_the_signal(from_rate: int, to_rate: int, size: int) -> None:
    pcm = _speechlike(6000)
    stream = StreamResampler(from_rate, to_rate)

    streamed = [stream.push(pcm[i : i + size]) for i in range(0, len(pcm), size)]

    whole = resample(pcm, from_rate, to_rate)
    assert np.array_equal(np.concatenate([*streamed, stream.flush()]), whole)
    assert len(whole) == -(-len(pcm) * to_rate // from_rate)


@given(sizes=st.lists(st.integers(0, 700), max_size=12), rates=st.sampled_from(RATES))
@settings(max_examples=60, deadline=None)
def test_any_chunking_at_all(sizes: list[int], rates: tuple[int, int]) -> None:
    pcm = _speechlike(sum(sizes))
    stream = StreamResampler(*rates)

    parts = [stream.push(part) for part in np.split(pcm, np.cumsum(sizes))[:-1]]

    assert np.array_equal(np.concatenate([*parts, stream.flush()]), resample(pcm, *rates))


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_delay_is_bounded_as_stated(from_rate: int, to_rate: int) -> None:
    stream = StreamResampler(from_rate, to_rate)
    pushed = given_back = 0
    for _ in range(200):
        given_back += len(stream.push(_speechlike(37)))
        pushed += 37
        behind = pushed - given_back * from_rate / to_rate
        assert behind <= stream.delay

    # 40 samples of the lower rate: 5 ms on a phone line, 2.5 ms at 16 kHz.
    assert stream.delay / from_rate <= 41 / min(from_rate, to_rate)


@pytest.mark.parametrize(("from_rate", "to_rate"), RATES)
def test_agrees_with_soxr_at_its_best(from_rate: int, to_rate: int) -> None:
    lower = min(from_rate, to_rate)
    pcm = sum(_tone(lower * part, from_rate, 4000) for part in (0.01, 0.1, 0.25, 0.4, 0.44))

    ours = resample(np.asarray(pcm, np.int16), from_rate, to_rate)

    theirs = soxr.resample(np.asarray(pcm, np.int16), from_rate, to_rate, quality="VHQ")
    # The ends differ: the filters assume silence beyond them and have different lengths.
    assert (
        np.abs(ours[500:-500].astype(int) - theirs[500:-500]).max() <= 6
    )  # 70 dB below full level


@pytest.mark.parametrize(("from_rate", "to_rate"), [r for r in RATES if r[0] > r[1]])
def test_what_lies_above_the_new_band_does_not_fold_into_it(from_rate: int, to_rate: int) -> None:
    tone = _tone(to_rate * 0.506, from_rate)
    assert _level_db(resample(tone, from_rate, to_rate), tone) < -75


def test_constant_stays_the_same_constant() -> None:
    pcm = np.full(3000, 1234, np.int16)
    assert set(resample(pcm, 16000, 24000)[200:-200]) == {1234}


def test_overshoot_is_clipped_not_wrapped() -> None:
    square = np.where(np.arange(4800) // 24 % 2, 32767, -32768).astype(np.int16)
    out = resample(square, 24000, 48000)
    in_input = np.arange(len(out)) // 2
    # Away from the edges the sign must be the input's; a wrapped peak would flip it.
    inner = (in_input % 24 > 3) & (in_input % 24 < 20)
    assert np.array_equal(np.sign(out[inner]), np.sign(square[in_input[inner]]))


def test_flush_starts_a_new_signal() -> None:
    stream = StreamResampler(24000, 16000)
    first = np.concatenate([stream.push(_speechlike(999)), stream.flush()])
    second = np.concatenate([stream.push(_speechlike(999)), stream.flush()])
    assert np.array_equal(first, second)


def test_nothing_in_nothing_out() -> None:
    stream = StreamResampler(48000, 16000)
    assert len(stream.push(np.zeros(0, np.int16))) == 0
    assert len(stream.flush()) == 0
    assert len(StreamResampler(16000, 16000).flush()) == 0


@pytest.mark.parametrize("rates", [(0, 16000), (16000, -1), (44099, 16000), (2_000_000_000, 16000)])
def test_unusable_rates_are_refused(rates: tuple[int, int]) -> None:
    with pytest.raises(AudioFormatError):
        StreamResampler(*rates)


@pytest.mark.parametrize("pcm", [np.zeros(4, np.float32), np.zeros((2, 2), np.int16)])
def test_wrong_audio_is_refused(pcm: Int16Array) -> None:
    with pytest.raises(AudioFormatError):
        StreamResampler(48000, 16000).push(pcm)
