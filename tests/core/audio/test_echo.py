import numpy as np
import pytest

from agent.audio.echo import EchoCanceller, Reference
from agent.errors import AudioFormatError, DegradedError


def ramp(start, count):
    return np.arange(start, start + count, dtype=np.int16)


def test_the_reference_gives_what_plays_and_silence_elsewhere():
    reference = Reference()
    reference.play(ramp(1, 100), 50)
    assert list(reference.read(0, 50)) == [0] * 50
    assert list(reference.read(40, 20)) == [0] * 10 + list(range(1, 11))
    assert list(reference.read(140, 20)) == list(range(91, 101)) + [0] * 10
    assert list(reference.read(500, 3)) == [0, 0, 0]


def test_a_cut_silences_what_was_handed_over_ahead():
    reference = Reference()
    reference.play(ramp(1, 100), 0)
    reference.cut(40)
    assert list(reference.read(38, 4)) == [39, 40, 0, 0]
    reference.cut(1000)
    reference.play(ramp(7, 2), 1000)
    assert list(reference.read(1000, 3)) == [7, 8, 0]


def test_both_ends_must_be_alike():
    canceller = EchoCanceller()
    with pytest.raises(AudioFormatError, match="one length"):
        canceller.process(ramp(0, 160), ramp(0, 320))
    with pytest.raises(AudioFormatError, match="int16"):
        canceller.process(ramp(0, 160).astype(np.float32), ramp(0, 160))


@pytest.mark.parametrize("size", [160, 512, 17, 4801])
def test_chunking_does_not_change_what_comes_out(size):
    random = np.random.default_rng(0)
    far = random.normal(0, 2000, 9600).astype(np.int16)
    near = random.normal(0, 500, 9600).astype(np.int16)
    whole = EchoCanceller().process(near, far)
    canceller = EchoCanceller()
    parts = [
        canceller.process(near[at : at + size], far[at : at + size])
        for at in range(0, len(near), size)
    ]
    assert np.array_equal(np.concatenate(parts), whole)
    assert len(whole) == 9600


def speech(seconds, seed):
    """Noise in syllables, int16, 16 kHz."""
    count = round(16_000 * seconds)
    loudness = 2000 * (1 + np.sin(2 * np.pi * 4 * np.arange(count) / 16_000))
    return (np.random.default_rng(seed).normal(0, 1, count) * loudness).astype(np.int16)


def level(pcm):
    return float(np.sqrt(np.mean(pcm.astype(float) ** 2)))


def test_words_over_an_agent_that_never_came_back_are_left_as_they_are():
    far, words = speech(2.3, 1), speech(0.3, 2)
    near = np.concatenate([np.zeros(32_000, np.int16), words])
    assert np.array_equal(EchoCanceller().process(near, far)[32_000:], words)
    # One that might have come back is not trusted so soon.
    early = EchoCanceller().process(near[-12_800:], far[-12_800:])
    assert not np.array_equal(early[-len(words) :], words)


def test_an_echo_that_begins_late_is_taken_out():
    far = speech(8.0, 1)
    near = np.concatenate([np.zeros(32_000, np.int16), (far[31_000:-1000] * 0.3).astype(np.int16)])
    cleaned = EchoCanceller().process(near, far)
    assert level(cleaned[-32_000:]) < 0.25 * level(near[-32_000:])


def test_an_echo_is_taken_out():
    far = speech(6.0, 1)
    near = np.concatenate([np.zeros(1000, np.int16), (far[:-1000] * 0.3).astype(np.int16)])
    cleaned = EchoCanceller().process(near, far)
    assert level(cleaned[-32_000:]) < 0.25 * level(near[-32_000:])


def test_a_machine_without_the_canceller_says_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pywebrtc_audio", None)
    with pytest.raises(DegradedError, match="pip install"):
        EchoCanceller()
