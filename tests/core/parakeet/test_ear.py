"""What of a client's audio is passed on, whatever pieces it comes in."""

import numpy as np
import pytest

from agent.parakeet.realtime.ear import Ear, Speech, Started, Stopped
from agent.parakeet.realtime.settings import ServerVad
from agent.vad.silero import HOP

SILENCE, VOICE = np.zeros(HOP, np.int16), np.full(HOP, 900, np.int16)


def loud(hop):
    return float(np.abs(hop).max() > 100)


def numbered(*hops):
    """The hops in a row, every sample told apart by its lowest digits."""
    pcm = np.concatenate(hops)
    return pcm + np.arange(len(pcm), dtype=np.int16) % 7


def heard(ear, pcm, step):
    found = []
    for start in range(0, len(pcm), step):
        found += ear.push(pcm[start : start + step])
    return found


def speech_in(found):
    parts = [one.pcm for one in found if isinstance(one, Speech)]
    return np.concatenate(parts) if parts else np.zeros(0, np.int16)


def talk():
    return numbered(*[SILENCE] * 40, *[VOICE] * 20, *[SILENCE] * 40)


@pytest.mark.parametrize("step", [1, 17, 512, 4801, 100_000])
def test_chunks_change_nothing(step):
    pcm = talk()
    whole = heard(Ear(ServerVad(), loud), pcm, len(pcm))
    pieces = heard(Ear(ServerVad(), loud), pcm, step)
    assert [type(one) for one in pieces] == [type(one) for one in whole]
    assert np.array_equal(speech_in(pieces), speech_in(whole))


def test_speech_comes_with_its_padding_and_without_the_silence_before():
    vad = ServerVad(prefix_padding_s=0.32, silence_s=0.5)
    pcm = talk()
    found = heard(Ear(vad, loud), pcm, 999)
    [start] = [one.at_sample for one in found if isinstance(one, Started)]
    [stop] = [one.at_sample for one in found if isinstance(one, Stopped)]
    assert start == 40 * HOP - 5120
    # Whole hops of at least half a second.
    assert 60 * HOP + 8000 <= stop <= 60 * HOP + 8000 + HOP
    spoken = speech_in(found)
    # Every sample from the padding on, in order.
    assert np.array_equal(spoken, pcm[len(pcm) - len(spoken) :][: len(spoken)])
    assert start - HOP < len(pcm) - len(spoken) <= start


def test_after_a_pause_silence_is_left_out_again():
    ear = Ear(ServerVad(), loud)
    assert len(speech_in(heard(ear, talk(), HOP)))
    ear.pause()
    assert list(ear.push(numbered(*[SILENCE] * 30))) == []


def test_without_a_detector_everything_is_speech():
    ear = Ear(None, None)
    pcm = talk()
    assert np.array_equal(speech_in(heard(ear, pcm, 700)), pcm)
    assert not len(ear.rest())
    ear.pause()
    assert np.array_equal(speech_in(heard(ear, pcm, 700)), pcm)
    assert list(ear.push(np.zeros(0, np.int16))) == []


def test_where_nobody_spoke_the_last_of_it_is_the_rest():
    ear = Ear(None, loud)
    pcm = numbered(*[SILENCE] * 100, SILENCE[:100])
    assert heard(ear, pcm, 1000) == []
    rest = ear.rest()
    assert 0.5 * 16_000 < len(rest) < len(pcm)
    assert np.array_equal(rest, pcm[-len(rest) :])


def test_once_somebody_spoke_the_rest_is_what_fills_no_hop():
    ear = Ear(None, loud)
    pcm = numbered(*[VOICE] * 20, VOICE[:100])
    spoken = speech_in(heard(ear, pcm, 1000))
    assert np.array_equal(np.concatenate([spoken, ear.rest()]), pcm)
