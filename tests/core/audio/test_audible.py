import numpy as np
import pytest

from agent.audio.audible import end_of_sound, onset_s
from agent.audio.chunk import PcmChunk, samples

TONE = (8000 * np.sin(np.arange(samples(1.0)) / 8)).astype(np.int16)


def track(tail_s, noise=4.0):
    """Half a second of a room, a second of a tone that dies away, the room again."""
    fading = TONE * np.minimum(1.0, np.arange(len(TONE), 0, -1) / samples(0.1))
    quiet = [np.zeros(samples(0.5)), fading, np.zeros(samples(tail_s))]
    pcm = np.concatenate(quiet)
    return PcmChunk((pcm + np.random.default_rng(0).normal(0, noise, len(pcm))).astype(np.int16), 0)


@pytest.mark.parametrize("late_s", [0.0, 0.03, 0.12, 0.2])
def test_the_end_is_where_the_sound_dies_away_however_late_the_detector_lets_go(late_s):
    heard = track(0.6)
    end = end_of_sound(heard, samples(1.5 + late_s))
    assert end == pytest.approx(samples(1.5), abs=samples(0.005))


def test_positions_are_those_of_the_media_clock():
    heard = PcmChunk(track(0.6).pcm, 1_000_000)
    assert end_of_sound(heard, 1_000_000 + samples(1.6)) == pytest.approx(
        1_000_000 + samples(1.5), abs=samples(0.005)
    )


def test_what_comes_after_does_not_count():
    heard = track(0.6)
    heard.pcm[samples(1.8) :] = 9000
    assert end_of_sound(heard, samples(1.6)) == pytest.approx(samples(1.5), abs=samples(0.005))


@pytest.mark.parametrize("pcm", [np.zeros(0), np.zeros(7), np.zeros(16_000), np.full(16_000, 300)])
def test_where_nothing_tells_the_detector_is_believed(pcm):
    heard = PcmChunk(pcm.astype(np.int16), 0)
    assert end_of_sound(heard, 9_000) == 9_000


def test_noise_as_loud_as_the_voice_leaves_the_detectors_end():
    assert end_of_sound(track(0.6, noise=8000.0), samples(1.55)) == samples(1.55)


@pytest.mark.parametrize("rate", [8_000, 24_000])
def test_our_own_voice_begins_at_its_first_audible_frame(rate):
    voice = np.concatenate([np.full(round(0.03 * rate), 20), np.full(rate, 2000)]).astype(np.int16)
    assert onset_s(voice, rate) == pytest.approx(0.03)


def test_silence_is_not_heard():
    assert onset_s(np.zeros(480, np.int16), 24_000) is None
