"""How many conversations are let in where the machine itself decides."""

from agent.server.pressure import Pressure, Worked


def talk(pressure, calls, from_s, lasting_s, late_share=0.0, cores_used=0.1, loop_used=0.05):
    """Packets of so many conversations; when it is over."""
    packets = round(lasting_s * 50)
    for i in range(packets + 1):
        now_s = from_s + i / 50
        if pressure.wants_work(now_s):
            pressure.work(Worked(now_s * cores_used, now_s * loop_used), now_s)
        for _ in range(calls):
            is_late = (i * late_share) % 1.0 + late_share >= 1.0
            pressure.packet(0.03 if is_late else 0.001, now_s)
    return from_s + lasting_s


def test_few_are_let_in_at_once_and_more_as_they_settle():
    pressure = Pressure(cores=2)
    assert pressure.limit(0, 0.0) == 2
    for _ in range(2):
        pressure.begun(0.0)
    assert pressure.limit(2, 0.1) == 2
    now = talk(pressure, 2, 0.0, 6.0)
    assert pressure.limit(2, now) == 4
    now = talk(pressure, 20, 6.0, 6.0)
    assert pressure.limit(20, now) == 30


def test_nobody_is_let_in_while_packets_leave_late_and_then_again():
    pressure = Pressure(cores=2)
    now = talk(pressure, 5, 0.0, 8.0, late_share=0.02)
    assert pressure.limit(5, now) == 5
    now = talk(pressure, 4, 8.0, 11.0)
    assert pressure.limit(4, now) == 6


def test_one_late_packet_in_two_hundred_is_none():
    pressure = Pressure(cores=2)
    now = talk(pressure, 5, 0.0, 8.0, late_share=0.005)
    assert pressure.limit(5, now) > 5


def test_a_hiccup_in_the_first_second_is_none():
    pressure = Pressure(cores=2)
    now = talk(pressure, 1, 0.0, 1.0, late_share=0.5)
    assert pressure.limit(1, now) > 1


def test_nobody_is_let_in_while_all_cores_are_busy():
    pressure = Pressure(cores=2)
    now = talk(pressure, 3, 0.0, 8.0, cores_used=1.7)
    assert pressure.limit(3, now) == 3
    pressure = Pressure(cores=4)
    assert pressure.limit(3, talk(pressure, 3, 0.0, 8.0, cores_used=1.7)) > 3


def test_nobody_is_let_in_while_the_thread_of_all_packets_is_busy():
    pressure = Pressure(cores=16)
    now = talk(pressure, 20, 0.0, 8.0, cores_used=0.8, loop_used=0.8)
    assert pressure.limit(20, now) == 20


def test_no_more_are_let_in_than_there_is_room_for_at_the_price_of_those_in():
    pressure = Pressure(cores=16)
    # Half of what the thread may do: as many again.
    now = talk(pressure, 4, 0.0, 8.0, loop_used=0.35)
    assert pressure.limit(4, now) == 6
    now = talk(pressure, 10, 8.0, 11.0, loop_used=0.6)
    assert pressure.limit(10, now) == 11
    # Who has just come costs already; before that is known, two are always taken.
    pressure.begun(now)
    assert pressure.limit(11, now) == 11
    assert pressure.limit(0, now) == 2


def test_two_are_always_let_in_and_never_more_than_256():
    pressure = Pressure(cores=2)
    now = talk(pressure, 1, 0.0, 8.0, late_share=0.5, cores_used=2.0)
    assert pressure.limit(1, now) == 2
    assert Pressure(cores=64).limit(10_000, 0.0) == 256


def test_a_machine_on_which_nobody_speaks_is_free():
    pressure = Pressure(cores=2)
    talk(pressure, 5, 0.0, 8.0, late_share=0.5, cores_used=2.0)
    assert pressure.limit(5, 30.0) == 7
