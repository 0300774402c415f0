"""Audio in hops of 32 ms, each of which holds its own number; posteriors are what is tried."""

import numpy as np
import pytest

from agent.asr.gate import Feed, Open, RecognitionGate, Step
from agent.audio.chunk import PcmChunk
from agent.vad.readings import Profile
from agent.vad.silero import HOP

SPEECH, WEAK, QUIET = 0.9, 0.3, 0.05
"""Speech; a voice trailing off, between silence and the threshold; silence."""


class Line:
    """A gate, and what it has ordered."""

    def __init__(self):
        self.gate = RecognitionGate()
        self.hops = 0
        self.orders = []

    def hear(self, *probabilities):
        """Push hops; return what they led to."""
        made = []
        for probability in probabilities:
            pcm = np.full(HOP, self.hops, np.int16)
            made += self.gate.push(PcmChunk(pcm, self.hops * HOP), probability)
            self.hops += 1
        self.orders += made
        return made

    def close(self):
        made = self.gate.close()
        self.orders += made
        return made


def steps(orders):
    return [order for order in orders if isinstance(order, Step)]


def heard(orders):
    """The hops that reached the recogniser, by number."""
    chunks = [order.pre_roll.pcm if isinstance(order, Open) else order.pcm for order in orders
              if not isinstance(order, Step)]  # fmt: skip
    return sorted(set(np.concatenate(chunks).tolist())) if chunks else []


def test_a_quiet_line_reaches_no_recogniser():
    line = Line()
    assert line.hear(*[QUIET] * 200) == []
    assert not line.gate.is_open
    assert line.close() == []


def test_opens_from_360_ms_before_speech_was_noticed():
    line = Line()
    line.hear(*[QUIET] * 30)
    opened, *rest = line.hear(SPEECH)
    assert isinstance(opened, Open)
    assert opened.utterance_id == 1
    assert len(opened.pre_roll.pcm) == 5760
    assert opened.pre_roll.end_sample == 31 * HOP
    assert rest == []
    assert line.gate.is_open
    assert not line.gate.is_confirmed


def test_no_hop_is_left_out_or_fed_twice_from_the_opening_on():
    line = Line()
    line.hear(*[QUIET] * 20, *[SPEECH] * 20, *[QUIET] * 20, *[SPEECH] * 5)
    opened, *rest = [order for order in line.orders if not isinstance(order, Step)]
    assert heard([opened]) == list(range(9, 21))
    assert [int(order.pcm[0]) for order in rest] == list(range(21, 65))


def test_is_confirmed_once_speech_has_lasted():
    line = Line()
    assert steps(line.hear(SPEECH, SPEECH)) == []
    assert steps(line.hear(SPEECH)) == [Step.CONFIRM]
    assert line.gate.is_confirmed
    assert steps(line.hear(SPEECH, SPEECH)) == []


def test_settles_at_the_first_hop_of_a_pause_and_then_no_more():
    line = Line()
    line.hear(*[SPEECH] * 10)
    assert steps(line.hear(QUIET)) == [Step.SETTLE]
    assert steps(line.hear(*[QUIET] * 100)) == []
    line.hear(*[SPEECH] * 4)
    assert steps(line.hear(QUIET)) == [Step.SETTLE]


def test_settles_again_where_a_voice_trailed_off():
    line = Line()
    line.hear(*[SPEECH] * 10)
    assert steps(line.hear(WEAK)) == [Step.SETTLE]
    assert steps(line.hear(WEAK, QUIET, QUIET)) == []
    assert steps(line.hear(QUIET)) == [Step.SETTLE]


def test_says_of_every_hop_whether_it_is_speech():
    line = Line()
    line.hear(*[SPEECH] * 10)
    fed = [order for order in line.hear(SPEECH, QUIET, *[QUIET] * 5) if isinstance(order, Feed)]
    assert [order.is_quiet for order in fed] == [False, *[True] * 6]
    # A pause of 96 ms still belongs to speech.
    assert [order.is_speech for order in fed] == [*[True] * 3, *[False] * 4]


def test_what_was_never_confirmed_is_dropped_after_a_second_of_silence():
    line = Line()
    line.hear(*[QUIET] * 20, SPEECH)
    assert Step.DROP not in line.hear(*[QUIET] * 31)
    assert line.hear(QUIET)[-1] is Step.DROP
    assert not line.gate.is_open
    assert line.hear(QUIET) == []


def test_noise_that_keeps_it_open_is_dropped_after_two_seconds():
    line = Line()
    line.hear(0.45)
    assert Step.DROP not in line.hear(*[0.45] * 61)
    assert line.hear(0.45, 0.45)[-1] is Step.DROP


def test_confirmed_speech_stays_open_however_long_the_pause():
    line = Line()
    line.hear(*[SPEECH] * 5)
    assert Step.DROP not in line.hear(*[QUIET] * 300)
    assert line.gate.is_open
    assert line.gate.silence == 300 * HOP
    assert line.close() == [Step.FINISH]
    assert not line.gate.is_open


def test_speech_that_goes_on_begins_the_next_utterance_at_once():
    line = Line()
    line.hear(*[SPEECH] * 20)
    finish, opened, confirm = line.close()
    assert finish is Step.FINISH
    assert opened.utterance_id == 2
    assert opened.pre_roll.end_sample == line.gate.end_sample
    assert confirm is Step.CONFIRM


@pytest.mark.parametrize("profile, opens", [(Profile.SHORT, True), (Profile.CONTINUOUS, False)])
def test_hears_as_the_dialogue_leads_to(profile, opens):
    line = Line()
    line.gate.adopt(profile)
    line.hear(0.45, 0.45, QUIET)
    assert line.gate.is_open is opens
