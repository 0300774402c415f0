import pytest

from agent.llm.slots import SlotPool


def test_every_session_gets_its_own_until_they_are_used_up():
    pool = SlotPool(2)
    assert [pool.take(), pool.take(), pool.take()] == [0, 1, None]


def test_a_returned_slot_is_leased_again():
    pool = SlotPool(2)
    first, _ = pool.take(), pool.take()
    pool.give_back(first)
    assert pool.take() == first


def test_a_session_without_a_slot_returns_nothing():
    pool = SlotPool(0)
    pool.give_back(pool.take())
    assert pool.take() is None


def test_a_slot_cannot_be_returned_twice():
    pool = SlotPool(1)
    slot = pool.take()
    pool.give_back(slot)
    with pytest.raises(ValueError, match="not leased"):
        pool.give_back(slot)


def test_only_the_pools_own_slots_are_taken_back():
    with pytest.raises(ValueError, match="not leased"):
        SlotPool(1).give_back(7)
