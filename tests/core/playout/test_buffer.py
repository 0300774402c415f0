import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from agent.playout.buffer import PlayoutBuffer

RATE, PACKET = 24_000, 480


def ramp(size, start=1):
    return np.arange(start, start + size).astype(np.int16)


def filled(size=4800):
    buffer = PlayoutBuffer(RATE)
    buffer.open()
    buffer.add(ramp(size))
    return buffer


def test_speech_comes_out_as_it_went_in():
    buffer = filled()
    buffer.close()
    out = np.concatenate([buffer.take(PACKET) for _ in range(10)])
    np.testing.assert_array_equal(out, ramp(4800))
    assert buffer.is_done and buffer.position == 4800


def test_a_short_rest_waits_until_the_response_is_complete():
    buffer = filled(500)
    assert len(buffer.take(PACKET)) == PACKET
    assert buffer.take(PACKET) is None
    buffer.close()
    last = buffer.take(PACKET)
    np.testing.assert_array_equal(last[:20], ramp(20, 481))
    assert not last[20:].any() and buffer.position == 500


@given(st.lists(st.sampled_from([1, 17, 512, 4801]), max_size=12))
def test_the_output_does_not_depend_on_the_chunks(sizes):
    signal = np.random.default_rng(0).integers(-9000, 9000, sum(sizes)).astype(np.int16)
    buffer = PlayoutBuffer(RATE)
    buffer.open()
    start = 0
    for size in sizes:
        assert buffer.add(signal[start : start + size]) == start
        start += size
    buffer.close()
    packets = []
    while not buffer.is_done:
        packets.append(buffer.take(PACKET))
    out = np.concatenate(packets) if packets else np.zeros(0, np.int16)
    np.testing.assert_array_equal(out[: len(signal)], signal)


def test_a_pause_resumes_from_the_sample_it_stopped_at():
    buffer = PlayoutBuffer(RATE)
    buffer.open()
    buffer.add(np.full(4800, 10_000, np.int16))
    buffer.take(PACKET)
    buffer.pause()
    tail = buffer.take(PACKET)
    assert tail[0] == 10_000 and abs(int(tail[-1])) <= 1
    assert buffer.take(PACKET) is None and buffer.position == PACKET
    buffer.resume()
    first = buffer.take(PACKET)
    assert first[0] == 0 and first[-1] == 10_000
    assert buffer.position == 2 * PACKET


def test_ducking_moves_smoothly():
    buffer = PlayoutBuffer(RATE)
    buffer.open()
    buffer.add(np.full(4800, 10_000, np.int16))
    buffer.take(PACKET)
    buffer.duck(0.5)
    packet = buffer.take(PACKET)
    assert np.abs(np.diff(packet.astype(int))).max() < 50
    assert packet[-1] == 5_000
    assert (buffer.take(PACKET) == 5_000).all()


def test_a_cut_ends_in_a_fade_and_leaves_nothing():
    buffer = PlayoutBuffer(RATE)
    buffer.open()
    buffer.add(np.full(4800, 10_000, np.int16))
    buffer.take(PACKET)
    tail = buffer.cut()
    assert len(tail) == PACKET
    assert tail[0] == 10_000 and tail[-1] == 0
    assert (np.diff(tail.astype(int)) <= 0).all()
    assert buffer.is_done and buffer.take(PACKET) is None


def test_a_cut_of_nothing_is_silent():
    assert len(PlayoutBuffer(RATE).cut()) == 0
    buffer = filled()
    buffer.pause()
    assert len(buffer.cut()) == 0


def test_a_tail_of_what_was_dropped_elsewhere_fades_too():
    tail = PlayoutBuffer(RATE).fade_out(np.full(4800, 10_000, np.int16))
    assert len(tail) == PACKET and tail[0] == 10_000 and tail[-1] == 0
