"""When Smart Turn is asked about a silence."""

from agent.audio.chunk import samples
from agent.turns.prosody import ProsodySchedule
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP

SPEECH, SILENCE = 0.9, 0.01
HANGOVER = samples(READINGS[Profile.SHORT].decision.min_silence_s)
EVERY = samples(0.16)


def asked(schedule, hops, *, busy=()):
    """Feed hops, each a posterior and whether speech still counts; return what was asked when."""
    found = []
    for number, (probability, is_speaking) in enumerate(hops):
        at = (number + 1) * HOP
        due = schedule.hop(at, probability, is_speaking=is_speaking, is_free=number not in busy)
        if due:
            found.append((at, due.silence))
    return found


SPOKEN = [(SPEECH, True)] * 10
FADING = [(SILENCE, True)] * 2
SILENT = [(SILENCE, False)] * 12


def test_the_first_score_is_of_the_silence_as_it_will_be_and_the_next_of_what_came():
    found = asked(ProsodySchedule(), SPOKEN + FADING + SILENT)
    first, second, third = found[:3]
    assert first == (11 * HOP, HANGOVER - HOP)
    assert second == (13 * HOP + EVERY, 0)
    assert third == (13 * HOP + 2 * EVERY, 0)


def test_speech_that_goes_on_voids_the_early_score():
    schedule = ProsodySchedule()
    asked(schedule, [*SPOKEN, (SILENCE, True)])
    assert schedule.is_early_valid
    asked(schedule, [(SPEECH, True)])
    assert not schedule.is_early_valid


def test_a_silence_whose_early_score_could_not_be_asked_for_is_scored_when_it_counts():
    found = asked(ProsodySchedule(), SPOKEN + FADING + SILENT, busy={10})
    assert found[0] == (13 * HOP, 0)


def test_a_score_that_is_due_waits_for_the_one_before():
    found = asked(ProsodySchedule(), SPOKEN + FADING + SILENT, busy={17, 18})
    assert found[1] == (20 * HOP, 0)


def test_nothing_is_asked_before_speech_nor_after_the_decision():
    schedule = ProsodySchedule()
    assert asked(schedule, SILENT) == []
    asked(schedule, SPOKEN + FADING + [(SILENCE, False)])
    schedule.stop()
    assert asked(schedule, SILENT) == []


def test_dictation_has_a_longer_hangover():
    schedule = ProsodySchedule()
    schedule.adopt(Profile.CONTINUOUS)
    assert asked(schedule, [*SPOKEN, (SILENCE, True)]) == [
        (11 * HOP, samples(READINGS[Profile.CONTINUOUS].decision.min_silence_s) - HOP)
    ]
