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


def test_a_machine_without_the_canceller_says_what_to_do(monkeypatch):
    monkeypatch.setitem(__import__("sys").modules, "pywebrtc_audio", None)
    with pytest.raises(DegradedError, match="pip install"):
        EchoCanceller()
