"""A call nobody speaks in ends, and so does one that goes on for ever."""

import pytest

from agent.observe.mask import masked
from agent.settings import LadderSettings
from agent.transports.phone.ladder import SilenceLadder

SETTINGS = LadderSettings(ask_after_s=5, asks=2, longest_s=600)


def steps(ladder, until_s, start_s=0.0):
    taken = []
    for tick in range(int(start_s * 4), int(until_s * 4)):
        if step := ladder.tick(tick / 4):
            taken.append((tick / 4, step))
            # What is said is spoken for a second.
            ladder.floor(user=False, agent=True, now_s=tick / 4)
            ladder.floor(user=False, agent=False, now_s=tick / 4 + 1)
    return taken


def test_nobody_there_is_asked_twice_and_let_go():
    taken = steps(SilenceLadder(SETTINGS, 0.0), 60.0)
    assert [(at, step.is_last) for at, step in taken] == [(5.0, False), (11.0, False), (17.0, True)]
    assert taken[0][1].text == SETTINGS.question and taken[2][1].text == SETTINGS.farewell


def test_a_word_or_a_key_begins_the_count_anew():
    ladder = SilenceLadder(SETTINGS, 0.0)
    assert len(steps(ladder, 8.0)) == 1
    ladder.floor(user=True, agent=False, now_s=8.0)
    assert steps(ladder, 60.0, 8.0) == []
    ladder.floor(user=False, agent=False, now_s=60.0)
    assert [at for at, _ in steps(ladder, 66.0, 60.0)] == [65.0]
    ladder.key(68.0)
    assert [(at, step.is_last) for at, step in steps(ladder, 90.0, 66.0)] == [
        (73.0, False),
        (79.0, False),
        (85.0, True),
    ]


def test_an_agent_that_thinks_is_not_silent():
    ladder = SilenceLadder(SETTINGS, 0.0)
    ladder.floor(user=False, agent=True, now_s=1.0)
    assert steps(ladder, 60.0) == []


def test_a_call_has_a_longest_length_whoever_talks():
    ladder = SilenceLadder(SETTINGS, 0.0)
    ladder.floor(user=True, agent=False, now_s=1.0)
    ((at, step),) = steps(ladder, 700.0)
    assert (at, step.is_last, step.text) == (600.0, True, SETTINGS.time_is_up)


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("card 4111 1111 1111 1111 please", "card [16 digits] please"),
        ("4111-1111-1111-1111", "[16 digits]"),
        ("call +491701234567 or 030.123456", "call [12 digits] or [9 digits]"),
        ("room 42, 3.5 s, 12345", "room 42, 3.5 s, 12345"),
        ("session 45c902fe43af", "session 45c902fe43af"),
        ("ignored what 127.0.0.1 sent", "ignored what 127.0.0.1 sent"),
        ("sip:192.168.178.1:5060 refused", "sip:192.168.178.1:5060 refused"),
        ("411.111.111.111", "[12 digits]"),
        ("10.0.0.1.2.3.4.5", "[9 digits]"),
        ("4111 192.168.178.1", "[14 digits]"),
        ("Pushing InputDTMFFrame#3(tone: 4) on", "Pushing InputDTMFFrame#3(tone: [keys]) on"),
        ("OutputDTMFFrame#0(buttons: 12#)", "OutputDTMFFrame#0(buttons: [keys])"),
        ("", ""),
    ],
)
def test_long_numbers_are_masked(text, shown):
    assert masked(text) == shown
