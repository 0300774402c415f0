import math

import pytest

from agent.errors import MissingModelError, SettingsError
from agent.parakeet.nemo import open_engine
from agent.parakeet.nemo.budget import EncoderShape, budget
from agent.parakeet.nemo.device import available, resolve
from agent.parakeet.nemo.settings import NemoSettings


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"modle": "x"}, "did you mean 'model'"),
        ({"model": "x", "slots": "3"}, "slots must be int"),
        ({"model": "x", "slots": True}, "slots must be int"),
        ({"model": "x", "dtype": "int8"}, "float32, bfloat16, float16"),
        ({"model": "x", "max_batch": -1}, "max_batch must not be negative"),
        ({}, "model is missing"),
    ],
)
def test_a_wrong_setting_names_its_remedy(config, message):
    with pytest.raises(SettingsError, match=message):
        NemoSettings.from_config(config)


def test_whole_seconds_need_no_point():
    assert NemoSettings.from_config({"model": "x", "max_utterance_s": 30}).max_utterance_s == 30


@pytest.mark.parametrize("name", ["cuda:99", "npu:0", "abacus"])
def test_a_device_that_is_not_here_is_a_setting_to_fix(name):
    with pytest.raises(SettingsError, match=r"torch_npu|cpu always works"):
        resolve(name)


def test_the_cpu_is_always_there():
    assert available()[-1] == "cpu"
    assert resolve("cpu").type == "cpu"


def test_a_missing_checkpoint_says_what_to_give(tmp_path):
    engine = open_engine({"model": str(tmp_path / "none.nemo"), "device": "cpu"})
    with pytest.raises(MissingModelError, match=r"give the path of a \.nemo file, or a hub name"):
        engine.load()


def test_garbage_is_no_checkpoint(tmp_path):
    path = tmp_path / "garbage.nemo"
    path.write_bytes(b"not a tar file" * 100)
    with pytest.raises(MissingModelError, match="cannot load"):
        open_engine({"model": str(path), "device": "cpu"}).load()


def test_twice_the_memory_takes_twice_the_audio():
    shape = EncoderShape(width=1024, heads=8, mels=128, channels=256)
    small, large = (budget(shape, memory, 1e9) for memory in (2**30, 2**31))

    assert large.max_batch_s == pytest.approx(2 * small.max_batch_s)
    assert large.max_batch_s2 == pytest.approx(2 * small.max_batch_s2)
    assert small.max_utterance_s <= math.sqrt(small.max_batch_s2)


def test_local_attention_has_no_square():
    shape = EncoderShape(width=512, heads=8, mels=80, channels=256, is_local=True)
    assert budget(shape, 2**30, 60).max_batch_s2 == math.inf
