"""The repaired graphs say what the packaged ones say."""

from functools import cache

import numpy as np
import onnxruntime as ort
import pytest

from agent.audio.chunk import to_float
from agent.errors import MissingModelError, RetryError
from agent.models import moonshine_graph as graph
from agent.models import store
from agent.models.catalog import CATALOG
from agent.models.download import fetch
from agent.models.unpack import unpack
from tests.speech import spoken

pytestmark = pytest.mark.model

HEADS, WIDTH, LAYERS = 8, 36, 6  # of tiny


@cache
def speech() -> np.ndarray:
    return to_float(spoken("Where is the nearest station?"))


@pytest.fixture(scope="module")
def packaged(tmp_path_factory):
    """Tiny as its makers ship it."""
    directory = tmp_path_factory.mktemp("packaged")
    package = CATALOG["moonshine-tiny-en"].packages[0]
    try:
        archive = fetch(package, directory / "package", print)
    except RetryError as unreachable:
        pytest.skip(f"the packaged model cannot be had here: {unreachable}")
    unpack(archive, package, directory)
    return directory


@pytest.fixture(scope="module")
def repaired(packaged, tmp_path_factory):
    directory = tmp_path_factory.mktemp("repaired")
    graph.repair(packaged, directory)
    return directory


def run(path, feed, level=ort.GraphOptimizationLevel.ORT_ENABLE_ALL):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    options.graph_optimization_level = level
    session = ort.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    return dict(zip(names, session.run(None, feed), strict=True))


@pytest.fixture(scope="module")
def reference(packaged):
    """Hidden states, logits of four tokens, logits of a fifth over the cache."""
    mask = np.ones((1, len(speech())), np.int64)
    hidden = run(
        packaged / graph.ENCODER_SOURCE, {"input_values": speech()[None], "attention_mask": mask}
    )["last_hidden_state"]
    past = {
        f"past_key_values.{layer}.{side}.{part}": np.zeros((0, HEADS, 1, WIDTH), np.float32)
        for layer in range(LAYERS)
        for side in ("decoder", "encoder")
        for part in ("key", "value")
    }
    always = {"encoder_hidden_states": hidden, "encoder_attention_mask": mask}
    decoder = packaged / graph.DECODER_SOURCE
    four = np.array([[1, 100, 200, 300]], np.int64)
    first = run(
        decoder, {"input_ids": four, "use_cache_branch": np.array([False]), **past, **always}
    )
    cache = {name: first[name.replace("past_key_values", "present")] for name in past}
    fifth = {"input_ids": np.array([[400]], np.int64), "use_cache_branch": np.array([True])}
    following = run(decoder, {**fifth, **cache, **always})
    return hidden, first["logits"], following["logits"]


def test_the_repaired_graphs_give_the_packaged_ones_numbers(reference, repaired):
    hidden, first_logits, next_logits = reference
    encoded = run(repaired / graph.ENCODER, {"input_values": speech()[None]})["last_hidden_state"]
    np.testing.assert_allclose(encoded, hidden, atol=1e-4)

    four = np.array([[1, 100, 200, 300]], np.int64)
    first = run(
        repaired / graph.DECODER_FIRST, {"input_ids": four, "encoder_hidden_states": hidden}
    )
    np.testing.assert_allclose(first["logits"], first_logits, atol=1e-3)

    cache = {
        name.replace("present", "past_key_values"): value
        for name, value in first.items()
        if name.startswith("present.")
    }
    following = run(
        repaired / graph.DECODER_NEXT, {"input_ids": np.array([[400]], np.int64), **cache}
    )
    np.testing.assert_allclose(following["logits"], next_logits, atol=1e-3)

    for outputs, tokens in ((first, 4), (following, 1)):
        attention = outputs[graph.CROSS_ATTENTION]
        assert attention.shape == (1, 1, tokens, hidden.shape[1])
        np.testing.assert_allclose(attention.sum(axis=-1), 1.0, atol=1e-4)


def test_the_same_source_gives_the_same_bytes(packaged, repaired, tmp_path):
    graph.repair(packaged, tmp_path)
    names = sorted(path.name for path in tmp_path.iterdir())
    assert names == sorted((graph.ENCODER, graph.DECODER_FIRST, graph.DECODER_NEXT))
    for name in names:
        assert (tmp_path / name).read_bytes() == (repaired / name).read_bytes(), name


def test_a_missing_source_is_named_and_nothing_is_left(tmp_path):
    with pytest.raises(MissingModelError, match=graph.ENCODER_SOURCE):
        graph.repair(tmp_path / "nothing", tmp_path / "target")
    assert list((tmp_path / "target").iterdir()) == []


@pytest.mark.parametrize("name", ["moonshine-tiny-en", "moonshine-base-en"])
def test_the_decoder_with_a_cache_follows_the_one_without(name):
    """Seven-bit products are scaled by all tokens at once, so the two agree only nearly."""
    if not store.is_present(name):
        pytest.skip(f"{name} is not on this machine; run: duplex models fetch {name}")
    directory = store.locate(name)
    hidden = run(directory / graph.ENCODER, {"input_values": speech()[None]})["last_hidden_state"]

    def first(tokens):
        ids = np.array([tokens], np.int64)
        return run(
            directory / graph.DECODER_FIRST, {"input_ids": ids, "encoder_hidden_states": hidden}
        )

    tokens = [1]
    for _ in range(4):
        tokens.append(int(first(tokens)["logits"][0, -1].argmax()))
    cache = {
        output.replace("present", "past_key_values"): value
        for output, value in first(tokens[:-1]).items()
        if output.startswith("present.")
    }
    stepped = run(
        directory / graph.DECODER_NEXT, {"input_ids": np.array([[tokens[-1]]], np.int64), **cache}
    )["logits"][0, -1]
    whole = first(tokens)["logits"][0, -1]
    assert stepped.argmax() == whole.argmax()
    assert np.corrcoef(stepped, whole)[0, 1] > 0.98
