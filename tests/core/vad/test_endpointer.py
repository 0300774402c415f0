from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from agent.vad.endpointer import Endpointer, EndpointerSettings, SpeechStarted, SpeechStopped

HOP, RATE = 512, 16_000


def read(probabilities, settings=None):
    endpointer = Endpointer(settings or EndpointerSettings(), RATE, HOP)
    changes = [
        endpointer.push(probability, (i + 1) * HOP) for i, probability in enumerate(probabilities)
    ]
    return [change for change in changes if change is not None]


def test_speech_starts_at_its_first_hop_and_is_known_after_96_ms():
    assert read([0.1, 0.9, 0.9, 0.9]) == [SpeechStarted(start_sample=HOP, at_sample=4 * HOP)]


def test_speech_stops_at_its_last_hop():
    speech = [0.9] * 3 + [0.1] * 3
    assert read(speech)[1] == SpeechStopped(end_sample=3 * HOP, at_sample=6 * HOP)


def test_a_click_is_no_speech():
    assert read([0.1, 0.99, 0.1, 0.99, 0.1]) == []


def test_a_weak_hop_inside_a_starting_word_does_not_begin_the_count_anew():
    assert read([0.9, 0.4, 0.9])[0].start_sample == 0


def test_between_the_thresholds_what_held_goes_on():
    assert len(read([0.9] * 3 + [0.4] * 50)) == 1


def test_a_stop_consonant_does_not_split_a_word():
    assert len(read([0.9] * 5 + [0.1] * 2 + [0.9] * 5)) == 1


@given(st.lists(st.floats(0, 1), max_size=200))
def test_starts_and_stops_alternate_and_never_go_back(probabilities):
    changes = read(probabilities)
    kinds = [type(change) for change in changes]
    assert all(a is not b for a, b in pairwise(kinds))
    assert not kinds or kinds[0] is SpeechStarted
    times = [change.at_sample for change in changes]
    assert times == sorted(times)
