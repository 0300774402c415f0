import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from agent.transports.jitter import AudioPacket, JitterBuffer, OrderedPacket

SAMPLES = 960
"""RTP clock ticks of a 20 ms Opus packet."""


def _packet(index: int, ssrc: int = 1, first: int = 0, first_timestamp: int = 0) -> AudioPacket:
    return AudioPacket(
        ssrc=ssrc,
        sequence_number=(first + index) % 65536,
        timestamp=(first_timestamp + SAMPLES * index) % (1 << 32),
        payload_type=96,
        payload=index.to_bytes(4, "big"),
    )


def _index(ordered: OrderedPacket) -> int:
    return int.from_bytes(ordered.packet.payload, "big")


def _run(order: list[int], patience: int = 3, **origin: int) -> list[OrderedPacket]:
    buffer = JitterBuffer(patience)
    return [out for i in order for out in buffer.push(_packet(i, **origin))]


def test_packets_in_order_are_never_held() -> None:
    buffer = JitterBuffer()
    for index in range(1000):
        (ordered,) = buffer.push(_packet(index))
        assert (_index(ordered), ordered.held, ordered.lost_before) == (index, 0, 0)


@pytest.mark.parametrize("patience", [1, 2, 3, 5])
def test_lost_packet_holds_the_next_ones_and_no_later_ones(patience: int) -> None:
    out = _run([i for i in range(40) if i != 10], patience)

    assert [_index(o) for o in out] == [i for i in range(40) if i != 10]
    assert {_index(o): o.lost_before for o in out if o.lost_before} == {11: 1}
    # The hold dies away with the hole; it is not carried through the call.
    assert [o.held for o in out if _index(o) > 10][:patience] == list(range(patience - 1, -1, -1))
    assert all(o.held == 0 for o in out if _index(o) > 10 + patience)


def test_burst_of_losses_is_one_gap() -> None:
    out = _run([i for i in range(40) if not 10 <= i < 25])
    assert {_index(o): o.lost_before for o in out if o.lost_before} == {25: 15}
    assert max(o.held for o in out) == 0


@pytest.mark.parametrize("order", [[0, 2, 1, 3], [0, 2, 3, 1, 4], [0, 3, 1, 2, 4]])
def test_reordering_loses_nothing(order: list[int]) -> None:
    assert [_index(o) for o in _run(order)] == sorted(order)


def test_too_late_and_duplicate_are_dropped_and_counted() -> None:
    buffer = JitterBuffer()
    out = [_index(o) for i in [0, 2, 2, 3, 4, 1, 5, 5] for o in buffer.push(_packet(i))]
    assert out == [0, 2, 3, 4, 5]
    assert (buffer.stats.duplicate, buffer.stats.late, buffer.stats.lost) == (1, 2, 1)


def test_numbers_wrap() -> None:
    out = _run(
        [i for i in range(200) if i != 66], first=65470, first_timestamp=(1 << 32) - 66 * SAMPLES
    )
    assert [_index(o) for o in out] == [i for i in range(200) if i != 66]
    assert out[-1].timestamp - out[0].timestamp == 199 * SAMPLES
    assert sum(o.lost_before for o in out) == 1


def test_new_source_starts_over_and_gives_what_was_held_first() -> None:
    buffer = JitterBuffer()
    for index in (0, 2):
        buffer.push(_packet(index))

    out = buffer.push(_packet(100, ssrc=2, first=5000, first_timestamp=77))

    assert [(o.packet.ssrc, _index(o)) for o in out] == [(1, 2), (2, 100)]
    assert buffer.stats.restarts == 1
    assert [_index(o) for o in buffer.push(_packet(101, ssrc=2, first=5000))] == [101]


def test_one_stray_number_changes_nothing() -> None:
    buffer = JitterBuffer()
    buffer.push(_packet(0))
    assert buffer.push(_packet(30000)) == []
    assert [_index(o) for o in buffer.push(_packet(1))] == [1]
    assert buffer.push(_packet(30001)) == []
    assert [_index(o) for o in buffer.push(_packet(2))] == [2]
    assert buffer.stats.restarts == 0


def test_two_numbers_from_elsewhere_are_a_new_stream_and_both_are_kept() -> None:
    buffer = JitterBuffer()
    buffer.push(_packet(0))
    buffer.push(_packet(30000))
    assert [_index(o) for o in buffer.push(_packet(30001))] == [30000, 30001]
    assert buffer.stats.restarts == 1


def test_flush_gives_up_on_holes() -> None:
    buffer = JitterBuffer(5)
    for index in (0, 2, 4):
        buffer.push(_packet(index))
    assert [(_index(o), o.lost_before) for o in buffer.flush()] == [(2, 1), (4, 1)]
    assert buffer.flush() == []
    assert buffer.push(_packet(3)) == []


def test_patience_must_be_positive() -> None:
    with pytest.raises(ValueError, match="from 1 on"):
        JitterBuffer(0)


@pytest.mark.parametrize("loss", [0.0, 0.01, 0.03, 0.2])
@pytest.mark.parametrize("reorder", [0.0, 0.02])
def test_hold_stays_below_60_ms_and_nothing_in_time_is_lost(loss: float, reorder: float) -> None:
    chance = random.Random(7)
    sent = [i for i in range(20000) if i == 0 or chance.random() >= loss]
    for at in range(1, len(sent) - 1):
        if chance.random() < reorder and sent[at] - sent[at - 1] == 1:
            sent[at], sent[at + 1] = sent[at + 1], sent[at]

    buffer = JitterBuffer()
    out = [o for i in sent for o in buffer.push(_packet(i))]

    # The packet that would have settled a hole may be lost or late itself, and the one after it.
    held_ms = sorted(o.held * 20 for o in out)
    if loss <= 0.03:
        assert held_ms[-len(out) // 1000] <= 60
        assert held_ms[-1] <= (80 if reorder else 60)
    assert held_ms[-1] <= 160
    assert sum(o.held for o in out) / len(out) * 20 <= 60
    assert len(out) + buffer.stats.late == len(sent)
    assert buffer.stats.late <= len(sent) * (loss + reorder) * 0.05
    span = _index(out[-1]) - _index(out[0]) + 1
    assert len(out) + sum(o.lost_before for o in out) == span


_numbers = st.one_of(st.integers(0, 40), st.integers(65500, 65535), st.integers(-(2**40), 2**40))


@given(
    packets=st.lists(
        st.tuples(st.integers(0, 1), _numbers, _numbers, st.binary(max_size=3), st.booleans()),
        max_size=200,
    ),
    patience=st.integers(1, 5),
)
@settings(max_examples=200, deadline=None)
def test_nothing_a_peer_sends_raises_or_is_hoarded(
    packets: list[tuple[int, int, int, bytes, bool]], patience: int
) -> None:
    buffer = JitterBuffer(patience)
    given_back = 0
    last = None
    for ssrc, number, timestamp, payload, pause in packets:
        out = buffer.push(AudioPacket(ssrc, number, timestamp, 96, payload))
        out += buffer.flush() if pause else []
        given_back += len(out)
        assert all(0 <= o.lost_before < 100 and 0 <= o.held < 200 for o in out)
        last = out[-1] if out else last
    given_back += len(buffer.flush())
    stats = buffer.stats
    assert stats.received == len(packets)
    # A packet is given back, or counted as dropped, or was a lone stray.
    assert given_back + stats.late + stats.duplicate <= stats.received
