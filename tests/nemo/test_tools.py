import json

import pytest
import soundfile

from agent.errors import SettingsError
from agent.parakeet.tools.run import run
from agent.parakeet.tools.word_errors import plain_words, word_errors
from tests.nemo import corpus


@pytest.fixture
def recordings(tmp_path):
    paths = []
    for text in corpus.COMMANDS[:3]:
        path = tmp_path / f"{text.replace(' ', '-')}.wav"
        soundfile.write(path, corpus.speak(text).pcm, corpus.RATE)
        path.with_suffix(".txt").write_text(text.capitalize() + ".", encoding="utf-8")
        paths.append(str(path))
    return paths


def printed(capsys):
    return json.loads(capsys.readouterr().out.strip().splitlines()[-1])


def test_accuracy_compares_two_engines_on_the_same_recordings(checkpoints, recordings, capsys):
    model = ["--model", str(checkpoints["tdt"]), "--device", "cpu", "--json"]
    assert run("accuracy", [*model, "--against", "decoder_device=cpu", *recordings]) == 0
    report = printed(capsys)
    assert report["equal_texts"] == "3 of 3"
    assert report["wer"] < 0.1
    assert all(row["batch_equal"] for row in report["rows"])

    other = ["--against-engine", "fake", "--set", f"model={checkpoints['tdt']}", "--json"]
    with pytest.raises(SettingsError, match="cannot read"):
        run("accuracy", [*other, "/nowhere.wav"])


def test_bench_counts_every_stage(checkpoints, capsys):
    arguments = ["--model", str(checkpoints["tdt"]), "--device", "cpu", "--json"]
    assert run("bench", [*arguments, "--length", "1", "--batch", "1,4", "--runs", "2"]) == 0
    report = printed(capsys)
    assert [row["batch"] for row in report["rows"]] == [1, 4]
    for row in report["rows"]:
        stages = row["mel_ms"] + row["encode_ms"] + row["decode_ms"]
        assert stages > 0
        assert row["failed"] == 0


def test_check_finds_the_checkpoint_or_names_the_fix(checkpoints, capsys):
    assert run("check", ["--model", str(checkpoints["streaming"]), "--device", "cpu"]) == 0
    out = capsys.readouterr().out
    assert "tiny-streaming" in out
    assert "streams of 160 ms" in out

    assert run("check", ["--model", "/nowhere.nemo", "--device", "cpu"]) == 1
    assert "give the path of a .nemo file" in capsys.readouterr().out


def test_random_weights_speak_four_tokens_a_second(tmp_path):
    import numpy as np

    from agent.parakeet.engine import Utterance
    from agent.parakeet.nemo import open_engine
    from agent.parakeet.tools.random_weights import make
    from tests.nemo.tiny import OFFLINE

    path = make(tmp_path, OFFLINE)
    engine = open_engine({"model": str(path), "device": "cpu", "threads": 1})
    engine.load()
    encoded, lengths, _ = engine._utterances.encode([Utterance(np.ones(8 * 16_000, np.int16))])
    (decoded,) = engine._decoder.decode(encoded, lengths)
    assert len(decoded.tokens.ids) == pytest.approx(8 * 12.5 / 3, abs=1)
    engine.close()


def test_word_errors_are_the_fewest_edits():
    assert word_errors("a b c".split(), "a b c".split()) == 0
    assert word_errors("a b c".split(), "b c d".split()) == 2
    assert word_errors([], "x y".split()) == 2
    assert plain_words("Don't stop, NOW!") == ["don't", "stop", "now"]
