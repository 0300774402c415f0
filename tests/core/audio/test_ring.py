import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.audio.chunk import PcmChunk
from agent.audio.ring import PRE_ROLL_SAMPLES, PreRoll


def _chunk(start: int, stop: int) -> PcmChunk:
    """Audio whose every sample tells its own position."""
    return PcmChunk((np.arange(start, stop) % 30000 + 1).astype(np.int16), start)


def test_default_is_360_ms() -> None:
    ring = PreRoll()
    ring.push(_chunk(0, 16000))
    assert PRE_ROLL_SAMPLES == 5760
    assert ring.start_sample == 16000 - 5760
    assert ring.end_sample == 16000


@pytest.mark.parametrize("size", [1, 17, 512, 4801, 10000])
def test_chunks_do_not_change_what_is_kept(size: int) -> None:
    ring = PreRoll()
    for start in range(0, 10000, size):
        ring.push(_chunk(start, min(start + size, 10000)))

    kept = ring.since(0)

    assert kept.start_sample == 10000 - 5760
    assert np.array_equal(kept.pcm, _chunk(10000 - 5760, 10000).pcm)


def test_since_is_clamped_to_what_is_kept() -> None:
    ring = PreRoll(100)
    ring.push(_chunk(0, 250))

    assert ring.since(-5).start_sample == 150
    assert ring.since(200).start_sample == 200
    assert len(ring.since(200).pcm) == 50
    late = ring.since(999)
    assert (late.start_sample, len(late.pcm)) == (250, 0)


def test_gap_reads_as_silence_and_moves_nothing() -> None:
    ring = PreRoll(100)
    ring.push(_chunk(0, 40))
    ring.push(_chunk(60, 80))

    kept = ring.since(30)

    assert np.array_equal(kept.pcm[:10], _chunk(30, 40).pcm)
    assert not kept.pcm[10:30].any()
    assert np.array_equal(kept.pcm[30:], _chunk(60, 80).pcm)


def test_gap_longer_than_the_ring_leaves_no_old_audio() -> None:
    ring = PreRoll(100)
    ring.push(_chunk(0, 100))
    ring.push(_chunk(10**12, 10**12 + 10))

    kept = ring.since(0)

    assert kept.end_sample == 10**12 + 10
    assert len(kept.pcm) == 100
    assert not kept.pcm[:90].any()


def test_audio_older_than_the_ring_is_dropped() -> None:
    ring = PreRoll(100)
    ring.push(_chunk(1000, 1200))
    ring.push(PcmChunk(np.full(50, -7, np.int16), 900))
    assert np.array_equal(ring.since(0).pcm, _chunk(1100, 1200).pcm)


def test_late_audio_replaces_the_silence_that_stood_for_it() -> None:
    ring = PreRoll(100)
    ring.push(_chunk(0, 20))
    ring.push(_chunk(40, 60))
    ring.push(_chunk(20, 40))
    assert np.array_equal(ring.since(0).pcm, _chunk(0, 60).pcm)


def test_what_was_given_does_not_change_later() -> None:
    ring = PreRoll(10)
    ring.push(_chunk(0, 10))
    kept = ring.since(0)
    ring.push(_chunk(10, 20))
    assert np.array_equal(kept.pcm, _chunk(0, 10).pcm)


def test_clear_forgets() -> None:
    ring = PreRoll(10)
    ring.push(_chunk(50, 60))
    ring.clear()
    assert len(ring.since(0).pcm) == 0
    ring.push(_chunk(5, 8))
    assert ring.since(0).start_sample == 5


def test_empty_ring_and_empty_chunk() -> None:
    ring = PreRoll(10)
    ring.push(_chunk(7, 7))
    assert (ring.start_sample, ring.end_sample) == (0, 0)


def test_capacity_must_be_positive() -> None:
    with pytest.raises(ValueError, match="at least one sample"):
        PreRoll(0)


@given(
    spans=st.lists(st.tuples(st.integers(0, 60), st.integers(0, 90)), max_size=20),
    capacity=st.integers(1, 80),
    ask=st.integers(-10, 2000),
)
def test_equals_a_ring_without_end(spans: list[tuple[int, int]], capacity: int, ask: int) -> None:
    ring = PreRoll(capacity)
    tape = np.zeros(4000, np.int16)
    end = 0
    for gap, length in spans:
        chunk = _chunk(end + gap, end + gap + length)
        ring.push(chunk)
        if length:
            tape[chunk.start_sample : chunk.end_sample] = chunk.pcm
            end = chunk.end_sample

    kept = ring.since(ask)

    assert ring.end_sample == end
    assert len(kept.pcm) <= capacity
    assert np.array_equal(kept.pcm, tape[kept.start_sample : kept.end_sample])
    if end:
        assert kept.end_sample == end
