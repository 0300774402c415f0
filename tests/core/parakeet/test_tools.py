"""The tools print a table and JSON and take no nonsense; here with an engine that costs nothing."""

import json

import pytest
import soundfile

from agent.parakeet.fake import transcript_of
from agent.parakeet.tools.run import run
from tests.parakeet.server import tone


@pytest.fixture
def recording(tmp_path):
    path = tmp_path / "call.wav"
    pcm = tone(1.0, seed=3)
    soundfile.write(path, pcm, 16_000, subtype="PCM_16")
    path.with_suffix(".txt").write_text(transcript_of(pcm).text + " indeed", encoding="utf-8")
    return str(path)


def shown(capsys, tool, *words):
    """Exit code, the table's lines, and the JSON of the same run once more."""
    code = run(tool, words)
    lines = capsys.readouterr().out.splitlines()
    assert run(tool, [*words, "--json"]) == code
    report = json.loads(capsys.readouterr().out)
    assert report["title"] == tool == lines[0]
    assert report["good"] is (code == 0)
    # The head of the table has the keys of the rows, and below it is a line for each.
    head = next(at for at, line in enumerate(lines) if line.split() == list(report["rows"][0]))
    assert len(lines) - head - 1 == len(report["rows"])
    return code, lines, report


def test_accuracy_has_text_equality_and_word_errors(capsys, recording):
    code, lines, report = shown(capsys, "accuracy", "--engine", "fake", recording)
    assert code == 0
    assert report["equal_texts"] == "1 of 1"
    assert report["rows"][0]["errors"] == 1
    assert report["wer"] == pytest.approx(1 / report["rows"][0]["words"])
    assert "  equal_texts: 1 of 1" in lines


def test_bench_has_latency_and_speed_for_each_batch(capsys):
    words = ["--engine", "fake", "--length", "1", "--batch", "1, 4", "--runs", "2"]
    code, lines, report = shown(capsys, "bench", *words)
    assert code == 0
    assert [row["batch"] for row in report["rows"]] == [1, 4]
    assert all(row["p50_ms"] > 0 and row["x_real_time"] > 0 for row in report["rows"])
    assert "  runs: 2" in lines


def test_check_says_what_is_there_and_how_to_get_the_rest(capsys):
    code, _, report = shown(capsys, "check")
    found = {row["what"]: row for row in report["rows"]}
    assert found["numpy"]["ok"] == "yes"
    missing = [row for row in report["rows"] if row["ok"] == "no"]
    assert code == bool(missing)
    assert all("pip install" in row["detail"] for row in missing)


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["bench", "--batch", "1,x"], "'x' is no whole number"),
        (["bench", "--batch", "0"], "'0' is no whole number"),
        (["bench", "--runs", "0"], "'0' is no whole number"),
        (["bench", "--length", "-1"], "'-1' is no number of seconds"),
        (["bench", "--length", "nan"], "'nan' is no number of seconds"),
        (["export-triton", "folder", "--max-batch", "0"], "'0' is no whole number"),
    ],
)
def test_a_wrong_number_is_told(capsys, words, says):
    with pytest.raises(SystemExit) as left:
        run(words[0], words[1:])
    assert left.value.code == 2
    assert says in capsys.readouterr().err
