"""Who answered, by the sound alone."""

import sys

import numpy as np
import pytest

from agent.transports.phone.answering import AnswerDetector, Answered, Answerer, BeepOver

RATE = 8_000


@pytest.fixture(autouse=True, params=[8_000, 16_000], ids=["G.711", "wideband"])
def rate(request, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "RATE", request.param)


def silence(lasting_s):
    return np.zeros(round(lasting_s * RATE), np.int16)


def tone(hertz, lasting_s, level=9000):
    at = np.arange(round(lasting_s * RATE))
    return (level * np.sin(2 * np.pi * hertz / RATE * at)).astype(np.int16)


def speech(lasting_s, level=3000):
    """A voice of 140 Hz with its harmonics."""
    at = np.arange(round(lasting_s * RATE)) / RATE
    return (level * sum(np.sin(2 * np.pi * 140 * k * at) / k for k in range(1, 12))).astype(
        np.int16
    )


def found(*pieces, size=None, patience_s=8.0):
    size = size or RATE // 50
    detector = AnswerDetector(RATE, patience_s)
    track = np.concatenate(pieces)
    return [
        finding
        for at in range(0, len(track), size)
        for finding in detector.push(track[at : at + size])
    ]


def verdict(*pieces):
    (answered,) = [one for one in found(*pieces) if isinstance(one, Answered)]
    return answered


def test_a_word_and_quiet_is_a_person():
    answered = verdict(silence(1.0), speech(0.5), silence(3))
    assert answered.by is Answerer.PERSON and 1.5 + 0.85 < answered.at_s < 1.5 + 1.0


def test_a_sentence_and_quiet_is_a_person():
    answered = verdict(silence(0.3), speech(1.8), silence(3))
    assert answered.by is Answerer.PERSON and answered.at_s < 0.3 + 4.0


def test_a_machine_that_greets_with_one_word_first_is_none():
    answered = verdict(silence(0.3), speech(0.35), silence(0.85), speech(3.0))
    assert answered.by is Answerer.MACHINE


def test_who_goes_on_talking_is_a_machine():
    answered = verdict(silence(0.3), speech(1.2), silence(0.9), speech(3.0))
    assert answered.by is Answerer.MACHINE and answered.at_s < 0.3 + 4.0


def test_who_begins_with_a_beep_is_a_machine():
    answered = verdict(silence(0.5), tone(1000, 0.3), silence(1))
    assert answered.by is Answerer.MACHINE


def test_rising_tones_are_a_number_out_of_service():
    answered = verdict(silence(0.2), tone(950, 0.33), tone(1400, 0.33), tone(1800, 0.33))
    assert answered.by is Answerer.NOT_IN_SERVICE


def test_silence_is_nobody():
    answered = verdict(silence(9))
    assert answered.by is Answerer.NOBODY and answered.at_s == pytest.approx(8.0, abs=0.03)


@pytest.mark.parametrize("hertz", [440, 620, 1000, 1400])
def test_a_beep_is_over_when_it_is(hertz):
    beeps = [
        one
        for one in found(speech(3), silence(0.4), tone(hertz, 0.5), silence(1))
        if isinstance(one, BeepOver)
    ]
    assert [beep.at_s for beep in beeps] == [pytest.approx(3.9, abs=0.05)]


def test_a_click_and_a_key_are_no_beep():
    pressed = (tone(770, 0.1, 5000) + tone(1336, 0.1, 5000)).astype(np.int16)
    assert not [
        one
        for one in found(silence(0.5), tone(1000, 0.06), silence(0.5), pressed, silence(1))
        if isinstance(one, BeepOver)
    ]


def test_noise_of_the_line_is_not_speech():
    hiss = np.random.default_rng(1).normal(0, 120, 6 * RATE).astype(np.int16)
    assert not found(hiss)


@pytest.mark.parametrize("size", [1, 17, 512, 4801])
def test_chunks_do_not_matter(size):
    pieces = (silence(0.5), speech(3), silence(0.4), tone(1000, 0.5), silence(1))
    if size == 1:
        pieces = tuple(piece[: RATE // 2] for piece in pieces)
    assert found(*pieces, size=size) == found(*pieces)
