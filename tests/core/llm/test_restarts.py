from agent.llm.restarts import RestartDelay


def test_a_single_crash_costs_no_wait():
    assert RestartDelay().after(1.0) == 0.0


def test_waits_double_up_to_the_longest():
    delay = RestartDelay(first_s=0.5, most_s=3.0)
    assert [delay.after(0.0) for _ in range(6)] == [0.0, 0.5, 1.0, 2.0, 3.0, 3.0]


def test_a_long_life_starts_the_count_anew():
    delay = RestartDelay(stable_s=60.0)
    delay.after(0.0)
    delay.after(0.0)
    assert delay.after(60.0) == 0.0
    assert delay.after(0.0) == 0.5


def test_a_night_of_deaths_does_not_overflow():
    delay = RestartDelay(most_s=30.0)
    assert [delay.after(0.0) for _ in range(2000)][-1] == 30.0
