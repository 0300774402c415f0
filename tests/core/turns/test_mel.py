import numpy as np
import pytest

from agent.turns.mel import log_mel


@pytest.mark.parametrize("seed", range(3))
def test_equals_the_features_the_model_was_trained_on(seed):
    from pipecat.audio.turn.smart_turn._whisper_features import compute_whisper_log_mel_features

    signal = np.random.default_rng(seed).normal(0, 0.1, 128_000).astype(np.float32)
    signal[: 40_000 * seed] = 0
    reference = compute_whisper_log_mel_features(signal)
    assert log_mel(signal).shape == reference.shape == (80, 800)
    np.testing.assert_allclose(log_mel(signal), reference, atol=2e-5)


def test_silence_gives_finite_features():
    assert np.isfinite(log_mel(np.zeros(128_000, np.float32))).all()
