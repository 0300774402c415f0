"""Silero's network as streams see it."""

import numpy as np
import onnxruntime as ort
import pytest

from agent.audio.chunk import to_float
from agent.errors import AudioFormatError, MissingModelError
from agent.models.silero_graph import stretch
from agent.models.store import locate
from agent.vad.silero import HOP, SileroModel, SileroPosterior
from tests.speech import dialogue, spoken

pytestmark = pytest.mark.model


@pytest.fixture(scope="module")
def export():
    return locate("silero-vad") / "silero_vad.onnx"


@pytest.fixture(scope="module")
def model(export):
    return SileroModel(export)


@pytest.fixture(scope="module")
def recording():
    """Speech, a pause, noise that clips, and digital silence."""
    noise = np.random.default_rng(2).normal(0, 20_000, 16_000).clip(-32768, 32767)
    parts = [dialogue("Yes, please do that now.", 0.8, "Six."), noise, np.zeros(8000)]
    pcm = np.concatenate(parts).astype(np.int16)
    return pcm[: len(pcm) // HOP * HOP]


def posterior(stream, pcm):
    return [stream.push(pcm[at : at + HOP]) for at in range(0, len(pcm) - HOP + 1, HOP)]


def test_a_stream_begins_as_if_a_quarter_of_a_second_of_silence_had_gone_before(model):
    pcm = spoken("Yes, please do that now.")
    state = np.zeros((2, 1, 128), np.float32)
    silence = np.zeros((1, 64 + HOP), np.float32)
    for _ in range(8):
        _, state = model.steps(silence, state)
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


def test_the_graph_over_many_hops_says_what_the_export_says(export, model, recording):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    session = ort.InferenceSession(str(export), options, providers=["CPUExecutionProvider"])
    signal = np.concatenate([np.zeros(64, np.float32), to_float(recording)])
    state, expected = model.rest_state, []
    for at in range(0, len(recording), HOP):
        given = {"input": signal[None, at : at + 64 + HOP], "state": state}
        found, state = session.run(None, given | {"sr": np.array(16_000, np.int64)})
        expected.append(found.item())
    assert max(expected) > 0.95 and min(expected) < 0.02
    assert SileroPosterior(model).push_all(recording) == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("together", [1, 2, 3, 63, 64, 65])
def test_how_many_hops_come_at_once_changes_nothing(model, recording, together):
    stream, step = SileroPosterior(model), together * HOP
    parts = [recording[at : at + step] for at in range(0, len(recording), step)]
    found = np.concatenate([stream.push_all(part) for part in parts])
    assert found == pytest.approx(SileroPosterior(model).push_all(recording), abs=1e-5)
    assert len(stream.push_all(recording[:0])) == 0


def test_a_part_of_a_hop_is_refused(model):
    stream = SileroPosterior(model)
    for wrong in (np.zeros(HOP - 1, np.int16), np.zeros(2 * HOP, np.int16)):
        with pytest.raises(AudioFormatError):
            stream.push(wrong)
    with pytest.raises(AudioFormatError):
        stream.push_all(np.zeros(2 * HOP + 1, np.int16))


def test_another_export_is_refused(tmp_path):
    graph = locate("smart-turn-v3.2") / "smart-turn-v3.2-cpu.onnx"
    with pytest.raises(MissingModelError, match="pip install"):
        stretch(graph)
