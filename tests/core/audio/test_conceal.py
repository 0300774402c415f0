import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.audio.chunk import Int16Array
from agent.audio.conceal import Concealer, GapFiller

RATES = [8000, 16000, 24000, 48000]


def _vowel(n: int, sample_rate: int, pitch: float = 130.0) -> Int16Array:
    """A pulse train through two resonances, near enough to a vowel."""
    t = np.arange(n) / sample_rate
    partials = [(1, 5000), (2, 4000), (3, 2500), (5, 1800), (9, 700)]
    wave = sum(a * np.sin(2 * np.pi * pitch * k * t + k) for k, a in partials)
    return np.rint(wave).astype(np.int16)


def _steepest(pcm: Int16Array) -> int:
    return int(np.abs(np.diff(pcm.astype(int))).max())


def _with_gap(pcm: Int16Array, start: int, length: int, sample_rate: int) -> Int16Array:
    concealer = Concealer(sample_rate)
    return np.concatenate(
        [
            concealer.push(pcm[:start]),
            concealer.conceal(length),
            concealer.push(pcm[start + length :]),
        ]
    )


@pytest.mark.parametrize("sample_rate", RATES)
@pytest.mark.parametrize("length_s", [0.001, 0.01, 0.02, 0.04, 0.06, 0.1])
@pytest.mark.parametrize("pitch", [90.0, 130.0, 230.0])
def test_no_click_at_the_borders(sample_rate: int, length_s: float, pitch: float) -> None:
    pcm = _vowel(sample_rate, sample_rate, pitch)
    length = round(length_s * sample_rate)

    out = _with_gap(pcm, sample_rate // 2, length, sample_rate)

    assert len(out) == len(pcm)
    assert _steepest(out) <= 1.25 * _steepest(pcm)


@pytest.mark.parametrize("sample_rate", RATES)
def test_vowel_goes_on_in_tune(sample_rate: int) -> None:
    pcm = _vowel(sample_rate, sample_rate)
    start = sample_rate // 2
    stop = start + sample_rate // 50

    out = _with_gap(pcm, start, stop - start, sample_rate)

    truth, guess = pcm[start:stop].astype(float), out[start:stop].astype(float)
    assert np.corrcoef(truth, guess)[0, 1] > 0.95
    # Silence in the gap, which is what a dropped packet leaves, would score 0 dB.
    assert 10 * np.log10((truth**2).sum() / ((truth - guess) ** 2).sum()) > 8


@pytest.mark.parametrize("sample_rate", RATES)
def test_noise_does_not_click_either(sample_rate: int) -> None:
    noise = np.random.default_rng(3).normal(0, 2000, sample_rate).astype(np.int16)
    out = _with_gap(noise, sample_rate // 2, sample_rate // 50, sample_rate)
    assert _steepest(out) <= 1.25 * _steepest(noise)
    middle = out[sample_rate // 2 :][: sample_rate // 100].astype(float)
    assert 1000 < middle.std() < 3000


def test_long_gap_fades_to_silence() -> None:
    concealer = Concealer(16000)
    concealer.push(_vowel(8000, 16000))
    gap = concealer.conceal(3200).astype(float)
    assert gap[:160].std() > 1000
    assert gap[600:900].std() < 0.5 * gap[:160].std()
    assert not gap[960:].any()


def test_long_gap_in_pieces_is_the_same_gap() -> None:
    whole, parts = Concealer(16000), Concealer(16000)
    for concealer in (whole, parts):
        concealer.push(_vowel(8000, 16000))
    sizes = [1, 17, 302, 320, 480]
    assert np.array_equal(
        np.concatenate([parts.conceal(size) for size in sizes]), whole.conceal(sum(sizes))
    )


def test_gap_before_any_audio_is_silence() -> None:
    concealer = Concealer(16000)
    assert not concealer.conceal(320).any()
    assert len(concealer.push(np.zeros(0, np.int16))) == 0


@pytest.mark.parametrize("value", [-32768, 32767])
def test_full_scale_does_not_wrap(value: int) -> None:
    out = _with_gap(np.full(16000, value, np.int16), 8000, 160, 16000)
    assert np.array_equal(out[8000:8100], np.full(100, value))


# --- GapFiller


def _frames(pcm: Int16Array, size: int) -> list[tuple[int, Int16Array]]:
    return [(at, pcm[at : at + size]) for at in range(0, len(pcm), size)]


def test_unbroken_stream_passes_untouched() -> None:
    pcm = _vowel(16000, 16000)
    filler = GapFiller(16000)
    out = np.concatenate([filler.push(10**9 + at, part) for at, part in _frames(pcm, 320)])
    assert np.array_equal(out, pcm)
    assert filler.concealed == 0


@given(lost=st.sets(st.integers(1, 48)), size=st.sampled_from([17, 320, 960]))
@settings(max_examples=40, deadline=None)
def test_clock_never_slips(lost: set[int], size: int) -> None:
    pcm = _vowel(50 * size, 48000)
    filler = GapFiller(48000)

    out = np.concatenate(
        [
            filler.push(at - 12345, part)
            for index, (at, part) in enumerate(_frames(pcm, size))
            if index not in lost
        ]
    )

    assert len(out) == len(pcm)
    assert filler.concealed == len(lost) * size
    # Where audio came and was not blended with a stand-in, it lies at its own place.
    for index, (at, part) in enumerate(_frames(pcm, size)):
        if index not in lost and index - 1 not in lost:
            assert np.array_equal(out[at : at + size], part)


@pytest.mark.parametrize("jump", [10**9, -(10**9), 32001, -1])
def test_jump_is_a_new_stream_and_fills_nothing(jump: int) -> None:
    filler = GapFiller(16000)
    filler.push(0, _vowel(320, 16000))
    assert len(filler.push(320 + jump, _vowel(320, 16000))) == 320
    assert len(filler.push(640 + jump, _vowel(320, 16000))) == 320
    assert filler.restarts == 1


def test_sender_that_falls_silent_leaves_silence_at_the_right_length() -> None:
    filler = GapFiller(16000)
    filler.push(0, _vowel(320, 16000))
    filled = sum(len(filler.wait(320)) for _ in range(15))
    # 400 ms later, as Opus does in discontinuous transmission, the next packet comes.
    out = filler.push(6720, _vowel(320, 16000))
    assert filled + len(out) == 6720


@pytest.mark.parametrize("waited", [1600, 1100, 17])
def test_packets_that_were_only_delayed_are_all_heard_and_the_time_is_won_back(waited: int) -> None:
    filler = GapFiller(16000)
    speech = _vowel(3200, 16000)
    quiet = np.zeros(32000, np.int16)
    pcm = np.concatenate([speech, speech, quiet, speech])
    parts = _frames(pcm, 320)
    out = [filler.push(at, part) for at, part in parts[:10]]
    out += [filler.wait(waited)]

    out += [filler.push(at, part) for at, part in parts[10:]]

    given_back = np.concatenate(out)
    assert len(given_back) == len(pcm)
    # The clock is the sender's again, to the sample: a part of a packet is won back as well.
    # 5 ms are blended with what stood in; from there the delayed speech is complete.
    late = 3200 + waited
    assert np.array_equal(given_back[late + 80 : late + 3200], speech[80:])
    assert np.array_equal(given_back[-3200:], speech)


def test_sender_whose_clock_stood_still_while_muted_loses_no_pause() -> None:
    filler = GapFiller(16000)
    filler.push(0, _vowel(320, 16000))
    for _ in range(150):
        filler.wait(320)
    pcm = np.concatenate([_vowel(3200, 16000), np.zeros(48000, np.int16)])
    out = [filler.push(320 + at, part) for at, part in _frames(pcm, 320)]
    assert sum(map(len, out)) == len(pcm)
    assert filler.restarts == 1


def test_pause_that_may_end_a_turn_is_not_shortened() -> None:
    filler = GapFiller(16000)
    filler.push(0, _vowel(320, 16000))
    filler.wait(4800)
    pcm = np.concatenate([_vowel(6400, 16000), np.zeros(16000, np.int16)])
    out = [filler.push(320 + at, part) for at, part in _frames(pcm, 320)]
    assert sum(map(len, out)) == len(pcm)
    assert len(filler.push(320 + len(pcm), np.zeros(9600, np.int16))) == 4800


def test_waiting_before_the_first_packet_gives_nothing() -> None:
    assert len(GapFiller(16000).wait(320)) == 0


@given(
    steps=st.lists(
        st.tuples(st.integers(-(2**40), 2**40), st.integers(0, 400), st.booleans()), max_size=60
    )
)
@settings(max_examples=100, deadline=None)
def test_hostile_positions_neither_raise_nor_use_much_memory(
    steps: list[tuple[int, int, bool]],
) -> None:
    filler = GapFiller(16000)
    for position, size, wait in steps:
        out = filler.wait(size) if wait else filler.push(position, np.ones(size, np.int16))
        assert len(out) <= 32000 + size
