"""Smart Turn in a shorter graph says what the packaged one says."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest

from agent.audio.chunk import SAMPLE_RATE, to_float
from agent.errors import MissingModelError
from agent.models.smart_turn_graph import shorten
from agent.models.store import locate
from agent.turns.mel import log_mel
from agent.turns.smart_turn import WINDOW_S, SmartTurn
from tests.speech import spoken

pytestmark = pytest.mark.model

SENTENCE = "Could you tell me when the last train to the airport leaves today?"


@pytest.fixture(scope="module")
def export():
    return locate("smart-turn-v3.2") / "smart-turn-v3.2-cpu.onnx"


@pytest.fixture(scope="module")
def pcm():
    return spoken(SENTENCE)


def logits(model, windows):
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3
    session = ort.InferenceSession(
        model.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    name = session.get_inputs()[0].name
    found = [session.run(None, {name: window[None]})[0].item() for window in windows]
    return np.log(found) - np.log1p(-np.array(found))


def without_rounding(path):
    """The export with its weights as they are and every other value in full precision."""
    model = onnx.load(path)
    rounds = {node.output[0]: node.input[0] for node in model.graph.node if is_rounding(node)}
    plain = {
        node.output[0]: rounds[node.input[0]]
        for node in model.graph.node
        if node.op_type == "DequantizeLinear" and node.input[0] in rounds
    }
    kept = [
        node
        for node in model.graph.node
        if not is_rounding(node) and not set(node.output) & set(plain)
    ]
    for node in kept:
        node.input[:] = [plain.get(name, name) for name in node.input]
    del model.graph.node[:]
    model.graph.node.extend(kept)
    return model


def is_rounding(node):
    return node.op_type == "QuantizeLinear"


def windows(pcm, seconds=8):
    """The sentence up to each of its tenths, as the model hears it."""
    size = seconds * SAMPLE_RATE
    for end in np.linspace(0.3, 1.0, 8):
        signal = to_float(pcm[: int(end * len(pcm))])[-size:]
        yield log_mel(np.pad(signal, (size - len(signal), 0)))


def test_over_the_whole_window_it_is_nearer_to_its_weights_than_the_export_is(export, pcm):
    heard = list(windows(pcm))
    exact = logits(without_rounding(export), heard)
    ours = np.abs(logits(shorten(export, 400), heard) - exact)
    packaged = np.abs(logits(onnx.load(export), heard) - exact)
    assert ours.mean() < packaged.mean()


def test_it_hears_its_window_and_nothing_before(export, pcm):
    model = SmartTurn(export)
    window = pcm[-int(WINDOW_S * SAMPLE_RATE) :]
    before = np.random.default_rng(0).normal(0, 3000, SAMPLE_RATE).astype(np.int16)
    assert model.score(np.concatenate([before, window])) == model.score(window)


def test_a_whole_sentence_sounds_finished_and_a_part_of_it_does_not(export, pcm):
    model = SmartTurn(export)
    silence = np.zeros(SAMPLE_RATE // 10, np.int16)
    whole = model.score(np.concatenate([pcm, silence]))
    part = model.score(np.concatenate([pcm[: len(pcm) // 2], silence]))
    assert whole > 0.5 > part


def test_another_export_is_refused(tmp_path, export):
    model = onnx.load(export)
    del model.graph.initializer[:]
    path = tmp_path / "other.onnx"
    onnx.save(model, path)
    with pytest.raises(MissingModelError, match="another export"):
        shorten(path, 100)
