"""Whose speech it is, from levels alone."""

import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from agent.vad.foreground import Foreground

HOP_S = 0.032
ROOM, TALK, CALLER = -62.0, -46.0, -26.0


class Line:
    """A line on which somebody is heard at a level; speech rises and falls by syllables."""

    def __init__(self):
        self.foreground = Foreground()
        self.counted = []

    def sound(self, dbfs, duration_s, probability, echo=-96.0):
        """Append a stretch; return the share of it that counts as the caller's speech."""
        counted = []
        syllables = itertools.cycle((0.0, -2.0, -5.0, -9.0, -4.0, -1.0))
        for _ in range(round(duration_s / HOP_S)):
            told = self.foreground.push(probability, dbfs + next(syllables), echo)
            counted.append(told.probability)
        self.counted += counted
        return sum(p == probability for p in counted) / len(counted)

    def speaks(self, dbfs, duration_s):
        return self.sound(dbfs, duration_s, 0.95)

    def is_quiet(self, duration_s, dbfs=ROOM):
        return self.sound(dbfs, duration_s, 0.02)


def known(behind=TALK):
    """A caller who has spoken, with something behind him."""
    line = Line()
    line.sound(behind, 1.5, 0.9 if behind == TALK else 0.02)
    line.speaks(CALLER, 2.0)
    return line


def test_before_anything_is_known_everybody_is_heard():
    assert Line().speaks(-58.0, 5.0) == 1.0


def test_people_behind_the_caller_do_not_hold_his_turn_open():
    line = known()
    assert line.speaks(TALK, 0.35) < 1.0
    assert line.speaks(TALK, 20.0) == 0.0
    assert line.speaks(CALLER, 1.0) == 1.0


def test_what_is_decided_is_told_with_both_levels():
    line = known()
    line.speaks(TALK, 1.0)
    told = line.foreground.push(0.9, TALK, -96.0)
    assert (told.probability, told.behind) == (0.0, 0.9)
    assert abs(told.caller_dbfs - CALLER) < 4 and abs(told.behind_dbfs - TALK) < 4


def test_a_pause_without_anybody_is_told_as_it_was():
    line = known()
    line.is_quiet(1.0, ROOM)
    assert line.foreground.push(0.03, ROOM, -96.0).probability == 0.03


def test_a_television_that_pauses_is_still_behind():
    line = Line()
    for _ in range(4):
        line.speaks(TALK, 0.8)
        line.is_quiet(0.4)
    line.speaks(CALLER, 2.0)
    line.is_quiet(0.4)
    assert line.speaks(TALK, 2.0) < 0.1


def test_on_a_quiet_line_a_whispered_end_is_the_callers():
    line = known(behind=ROOM)
    assert line.speaks(CALLER - 22.0, 1.5) == 1.0


def test_who_goes_on_softly_is_heard_for_as_long_as_he_speaks():
    line = known(behind=ROOM)
    for _ in range(12):
        assert line.speaks(CALLER - 16.0, 4.0) == 1.0
        line.is_quiet(1.0)


def test_who_begins_softly_over_a_known_line_is_heard():
    line = known(behind=ROOM)
    line.is_quiet(8.0)
    assert line.speaks(CALLER - 18.0, 1.0) == 1.0


phrases = st.lists(
    st.tuples(st.floats(-45.0, -20.0), st.floats(0.2, 2.0), st.floats(0.1, 1.0)),
    min_size=1,
    max_size=3,
)


@settings(deadline=None)
@given(st.lists(phrases, min_size=1, max_size=6))
def test_on_a_quiet_line_nobody_is_behind_who_speaks_up_now_and_then(rounds):
    line = Line()
    line.is_quiet(2.0, -66.0)
    for said in rounds:
        assert line.speaks(-19.0, 0.6) == 1.0
        for dbfs, duration_s, pause_s in said:
            assert line.speaks(dbfs, duration_s) == 1.0
            line.is_quiet(pause_s, -66.0)
        # Who has hardly paused for ten seconds may not lower his voice by so much (docs/turns.md).
        line.is_quiet(0.25, -66.0)


def test_who_raises_his_voice_is_heard_when_he_lowers_it_again():
    line = Line()
    line.is_quiet(3.0)
    for dbfs in (-33.0, -33.0, -18.0, -33.0, -33.0):
        assert line.speaks(dbfs, 2.0) == 1.0
        line.is_quiet(1.0)


def test_soft_single_words_are_no_pauses():
    line = known(behind=ROOM)
    for _ in range(40):
        assert line.speaks(CALLER - 18.0, 0.26) == 1.0
        line.is_quiet(0.2)


def test_a_slammed_door_is_no_caller():
    line = Line()
    line.is_quiet(1.5, -48.0)
    line.sound(-4.0, 0.3, 0.9)
    line.is_quiet(0.5, -48.0)
    assert line.speaks(-34.0, 3.0) == 1.0


def test_our_own_voice_teaches_nothing():
    line = Line()
    line.is_quiet(1.5, -50.0)
    line.sound(-12.0, 10.0, 0.9, echo=-12.0)
    assert line.speaks(-38.0, 3.0) == 1.0
    line = known(behind=ROOM)
    line.sound(-44.0, 10.0, 0.9, echo=-44.0)
    assert line.foreground.push(0.02, ROOM, -96.0).behind_dbfs < -55.0


def test_somebody_who_takes_over_the_line_is_heard_within_a_minute():
    line = known()
    shares = [line.speaks(TALK, 1.0) for _ in range(60)]
    assert shares[2] == 0.0 and shares[-1] == 1.0


def test_the_same_levels_give_the_same_answers():
    def run():
        line = known()
        line.speaks(TALK, 3.0)
        return line.counted

    assert run() == run()
