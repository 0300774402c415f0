import numpy as np
import pytest

from agent.transports.sip.comfort import ComfortNoise
from tests.core.sip.limits import cases
from tests.core.sip.mangling import mangled


def rms_dbov(pcm):
    return 20 * np.log10(np.sqrt(np.mean(pcm.astype(float) ** 2)) / (32768 / np.sqrt(2)))


@pytest.mark.parametrize("colour", [b"", bytes([90, 140]), bytes([20, 200, 100, 127])])
@pytest.mark.parametrize("level", [30, 50, 60])
def test_noise_is_as_loud_as_was_said(level, colour):
    noise = ComfortNoise()
    noise.describe(bytes([level]) + colour)
    assert rms_dbov(noise.make(16_000)) == pytest.approx(-level, abs=1.0)


def test_a_negative_coefficient_makes_it_dull_and_a_positive_one_bright():
    def brightness(k):
        noise = ComfortNoise()
        noise.describe(bytes([40, k]))
        pcm = noise.make(8_000).astype(float)
        return np.mean(np.diff(pcm) ** 2) / np.mean(pcm**2)

    assert brightness(40) < 1.0 < 3.0 < brightness(214)


@pytest.mark.parametrize("count", [1, 17, 160, 500])
def test_blocks_are_coloured_as_sample_by_sample(count):
    noise, plain = ComfortNoise(seed=3), np.random.default_rng(3)
    noise.describe(bytes([40, 90, 160, 120]))
    heard = np.concatenate([noise.make(count) for _ in range(3)])
    k = [(value - 127) / 128 for value in (90, 160, 120)]
    # The step-up recursion, written out for three coefficients.
    first = [k[0] + k[0] * k[1], k[1]]
    a = [first[0] + k[2] * first[1], first[1] + k[2] * first[0], k[2]]
    gain = np.sqrt(np.prod([1 - abs(x) ** 2 for x in k]))
    source = np.concatenate(
        [plain.normal(0.0, 32768 / np.sqrt(2) * 10 ** (-40 / 20) * gain, count) for _ in range(3)]
    )
    expected = np.zeros(len(source) + 3)
    for i, x in enumerate(source):
        expected[i + 3] = x - sum(a[j] * expected[i + 2 - j] for j in range(3))
    np.testing.assert_allclose(heard, expected[3:], atol=1.0)


def test_speech_ends_it():
    noise = ComfortNoise()
    assert not noise.make(160).any()
    noise.describe(bytes([40]))
    assert noise.make(160).any()
    noise.heard()
    assert not noise.make(160).any()


@cases(mangled(bytes([40]), bytes([30, 90, 140, 200, 10, 127]), bytes(range(30))))
def test_any_payload_is_noise_within_bounds(payload):
    noise = ComfortNoise()
    noise.describe(payload)
    pcm = noise.make(40)
    assert pcm.dtype == np.int16 and len(pcm) == 40
