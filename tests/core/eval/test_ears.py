"""Words found in the agent's sound: heard whole, cut, paused, quieter, through a telephone."""

import numpy as np
import pytest

from agent.audio.resample import resample
from agent.eval.ears import TappedVoice, WordEar
from agent.tts.speech import Speech, SpokenWord

RATE = 24_000


class Babbler:
    """Every word is its own noise, low as a voice is."""

    name, sample_rate = "babbler", RATE

    def speak(self, clause):
        words, pcm = [], []
        for number, word in enumerate(clause.split()):
            seed = sum(ord(sign) * (place + 1) for place, sign in enumerate(word))
            sound = np.random.default_rng(seed).normal(0, 1, round(0.3 * RATE))
            sound = np.convolve(sound, np.ones(24) / 24, "same")
            pcm.append((9000 * sound / np.abs(sound).max()).astype(np.int16))
            words.append(SpokenWord(word, 0.3 * number, 0.3 * (number + 1)))
        yield Speech(np.concatenate(pcm), RATE, tuple(words))


def hears(*pieces, rate=RATE):
    """Play pieces, `(clause, from, until)` in seconds or silence, in packets of 20 ms."""
    voice = TappedVoice(Babbler())
    ear, found, at = WordEar(voice, rate), [], 0.0
    clauses = {}
    for piece in pieces:
        if isinstance(piece, float):
            at += piece
            continue
        clause, start, stop, *gain = piece
        if clause not in clauses:
            clauses[clause] = next(iter(voice.speak(clause))).pcm
        pcm = clauses[clause][round(start * RATE) : round(stop * RATE)]
        pcm = (pcm * (gain or [1.0])[0]).astype(np.int16)
        pcm = resample(pcm, RATE, rate)
        for begin in range(0, len(pcm), rate // 50):
            packet = pcm[begin : begin + rate // 50]
            found += ear.push(at, packet)
            at += len(packet) / rate
    return found


@pytest.mark.parametrize("rate", [24_000, 8_000])
def test_every_word_of_an_answer_is_heard_when_it_sounds(rate):
    words = hears(0.5, ("the moon is far", 0, 1.2), rate=rate)
    assert [word.text for word in words] == "the moon is far".split()
    assert [word.start_s for word in words] == pytest.approx([0.5, 0.8, 1.1, 1.4], abs=0.01)


def test_what_was_cut_is_not_heard():
    words = hears(("the moon is far", 0, 0.65), 1.0, ("bees make honey", 0, 0.9))
    assert [word.text for word in words] == "the moon bees make honey".split()


def test_a_word_more_than_half_of_which_sounded_is_heard():
    assert [word.text for word in hears(("the moon", 0, 0.52))] == ["the", "moon"]
    assert [word.text for word in hears(("the moon", 0, 0.40))] == ["the"]


def test_a_pause_in_a_word_and_a_quieter_voice_lose_nothing():
    words = hears(("the moon is far", 0, 0.4, 0.3), 0.5, ("the moon is far", 0.4, 1.2))
    assert [word.text for word in words] == "the moon is far".split()
    assert words[-1].start_s == pytest.approx(1.4, abs=0.01)


def test_what_was_made_and_withdrawn_is_passed_over():
    voice = TappedVoice(Babbler())
    ear = WordEar(voice, RATE)
    list(voice.speak("never to be heard"))
    pcm = next(iter(voice.speak("this is"))).pcm
    found = [w for i in range(0, len(pcm), 480) for w in ear.push(i / RATE, pcm[i : i + 480])]
    assert [word.text for word in found] == ["this", "is"]
    assert [word.number for word in found] == [4, 5] and ear.made == 6
