"""Where speech ends: silent tails go, speech stays."""

import numpy as np
import pytest

from agent.models.store import locate
from agent.parakeet.speech import Examined, SpeechFinder, levels, loud_end, loudness
from agent.vad.silero import HOP, SileroModel
from tests.speech import dialogue, spoken

PHRASES = ("Yes.", "Six.", "The bus stops.", "That's enough.", "Fish and chips.")


@pytest.fixture(scope="module")
def finder():
    return SpeechFinder(locate("silero-vad") / "silero_vad.onnx")


@pytest.fixture
def heard_hops(finder, monkeypatch):
    """How many hops each run of the network had."""
    counts, steps = [], SileroModel.steps

    def counted(self, windows, state):
        counts.append(len(windows))
        return steps(self, windows, state)

    monkeypatch.setattr(SileroModel, "steps", counted)
    return counts


def bare(text):
    """Speech from its first to its last sound, 45 dB below its peak."""
    pcm = spoken(text)
    level = levels(pcm)
    sound = np.nonzero(level > level.max() * 10 ** (-45 / 20))[0]
    return pcm[sound[0] * 160 : (sound[-1] + 1) * 160]


@pytest.mark.parametrize("noise", [0, 4, 30])
@pytest.mark.parametrize("tail_s", [0.0, 0.1, 0.4, 1.5])
@pytest.mark.parametrize("text", PHRASES)
def test_at_most_120_ms_of_tail_stay_and_no_speech_goes(finder, text, tail_s, noise):
    speech = bare(text)
    signal = np.concatenate([speech, np.zeros(round(tail_s * 16_000), np.int16)]).astype(float)
    signal += np.random.default_rng(1).normal(0, noise, len(signal))
    examined = finder.examine(signal.astype(np.int16))
    assert examined.has_speech
    kept = examined.end_sample - len(speech)
    assert kept >= 0
    assert kept <= 0.12 * 16_000


@pytest.mark.parametrize("noise", [0, 4, 60, 600])
def test_noise_is_no_speech(finder, noise):
    pcm = np.random.default_rng(2).normal(0, noise, 24_000).astype(np.int16)
    assert not finder.examine(pcm).has_speech


@pytest.mark.parametrize("text", PHRASES)
def test_quiet_speech_before_a_bang_is_speech(finder, text):
    speech = bare(text) // 8
    bang = np.random.default_rng(4).normal(0, 8000, 1600).clip(-32768, 32767).astype(np.int16)
    assert np.abs(speech).max() * 4 < np.abs(bang).max()
    pcm = np.concatenate([speech, np.zeros(3200, np.int16), bang])
    assert finder.examine(pcm).has_speech


@pytest.mark.parametrize("pause_s", [0.5, 2.0])
@pytest.mark.parametrize("noise", [4, 60])
@pytest.mark.parametrize("text", PHRASES)
def test_a_door_behind_the_speech_keeps_no_tail(finder, text, noise, pause_s):
    speech, random = bare(text), np.random.default_rng(4)
    door = random.normal(0, 4000, 800)
    signal = np.concatenate([speech, np.zeros(round(pause_s * 16_000)), door, np.zeros(3200)])
    signal += random.normal(0, noise, len(signal))
    examined = finder.examine(signal.clip(-32768, 32767).astype(np.int16))
    assert examined.has_speech
    assert 0 <= examined.end_sample - len(speech) <= 0.12 * 16_000


@pytest.mark.parametrize(("noise", "most"), [(4, 12), (60, 30)])
@pytest.mark.parametrize("text", [*PHRASES, "Could you tell me when the last train leaves today?"])
def test_an_ordinary_end_is_plain_at_a_glance(finder, heard_hops, text, noise, most):
    # The voice falls silent 0.4 s before its end, so there are 0.5 s of tail.
    pcm = dialogue("Well, I wanted to ask.", 0.4, text, 0.1, noise=noise)
    glanced = finder.glance(pcm)
    assert glanced is not None
    # Of a quiet tail nothing is heard; the whole has a hundred hops.
    assert sum(heard_hops) <= most
    assert glanced == finder.examine(pcm)
    voiced = np.flatnonzero(np.array(finder.posterior(pcm)) >= 0.3)[-1] * HOP + HOP
    assert abs(glanced.end_sample - voiced) <= 0.12 * 16_000


def test_what_is_not_plain_takes_more_than_a_glance(finder):
    noise = np.random.default_rng(2).normal(0, 600, 80_000).astype(np.int16)
    assert finder.glance(noise) is None
    long_tail = dialogue("Yes.", 3.0, noise=60)
    assert finder.glance(long_tail) is None
    assert finder.examine(long_tail).has_speech
    assert finder.glance(noise[:24_000] // 100) == Examined(False, 24_000)


@pytest.mark.parametrize("count", [0, 1, 100, 511, 513])
def test_any_length_is_examined(finder, count):
    assert not finder.examine(np.zeros(count, np.int16)).has_speech
    assert len(finder.posterior(np.zeros(count, np.int16))) == -(-count // 512)


def test_loudness_is_in_the_range_of_a_posterior():
    found = loudness(np.random.default_rng(3).normal(0, 1000, 5000).astype(np.int16))
    assert len(found) == 10
    assert all(0.5 <= value <= 1.0 for value in found)


def test_a_steady_sound_ends_at_its_end():
    assert loud_end(levels(np.full(16_000, 1000, np.int16))) == 16_000
