"""Silero's network as streams see it."""

import numpy as np
import pytest

from agent.models.store import locate
from agent.vad.silero import HOP, SileroModel, SileroPosterior
from tests.speech import spoken

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def model():
    return SileroModel(locate("silero-vad") / "silero_vad.onnx")


def posterior(stream, pcm):
    return [stream.push(pcm[at : at + HOP]) for at in range(0, len(pcm) - HOP + 1, HOP)]


def test_a_stream_begins_as_if_a_quarter_of_a_second_of_silence_had_gone_before(model):
    pcm = spoken("Yes, please do that now.")
    state = np.zeros((2, 1, 128), np.float32)
    silence = np.zeros((1, 64 + HOP), np.float32)
    for _ in range(8):
        _, state = model.step(silence, state)
    after_silence = SileroPosterior(model)
    after_silence._state = state
    assert posterior(SileroPosterior(model), pcm) == posterior(after_silence, pcm)


def test_streams_share_the_network_and_nothing_else(model):
    pcm = spoken("Yes, please do that now.")
    noise = np.random.default_rng(1).normal(0, 4000, len(pcm)).astype(np.int16)
    alone = posterior(SileroPosterior(model), pcm)
    one, other = SileroPosterior(model), SileroPosterior(model)
    beside = []
    for at in range(0, len(pcm) - HOP + 1, HOP):
        beside.append(one.push(pcm[at : at + HOP]))
        other.push(noise[at : at + HOP])
    other.reset()
    assert beside == alone
    assert posterior(other, pcm) == alone
