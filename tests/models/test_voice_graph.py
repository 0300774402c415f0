"""The graphs cut in two: together the whole, and on a window what the whole gives there."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnxruntime as ort
import pytest

from agent.audio.chunk import Float32Array
from agent.errors import MissingModelError
from agent.models import store
from agent.models.kokoro_graph import split_kokoro, split_student
from agent.tts.kokoro import KokoroVoice, harmonic_phases
from agent.tts.phonemes import phoneme_ids, shared_phonemiser
from agent.tts.student import StudentVoice
from agent.tts.windows import CONTEXT, Window

pytestmark = pytest.mark.model

CLAUSE = "I can certainly help you with that booking, if you like."


@pytest.fixture(scope="module")
def kokoro_dir() -> Path:
    if not store.is_present("kokoro-82m"):
        pytest.skip("kokoro-82m is not on this machine; run: duplex models fetch kokoro-82m")
    return store.locate("kokoro-82m")


def window_error_db(decode: Callable[[Window], Float32Array], steps: int) -> float:
    """Error of two inner windows against the whole, relative to the whole."""
    whole = decode(Window(0, steps, 0, steps))
    errors, signal = 0.0, 0.0
    for start, end in ((20, 40), (45, 75)):
        window = Window(start, end, start - CONTEXT, end + CONTEXT)
        part = decode(window)[CONTEXT * 600 : -CONTEXT * 600]
        wanted = whole[start * 600 : end * 600]
        errors += float(np.sum((part - wanted) ** 2))
        signal += float(np.sum(wanted**2))
    return 10 * np.log10(errors / signal)


def test_a_window_of_kokoro_is_that_part_of_the_whole(kokoro_dir: Path):
    predicted = KokoroVoice(kokoro_dir)._predict(shared_phonemiser()(CLAUSE).phonemes)
    # 8-bit arithmetic scales each run by its own loudest value: it alone costs 10 dB. With the
    # statistics of the window in place of constants the error is as loud as the speech.
    assert window_error_db(predicted.decode, int(predicted.durations.sum())) < -6


def test_a_window_of_the_student_is_that_part_of_the_whole():
    predicted = StudentVoice()._predict(shared_phonemiser()(CLAUSE).phonemes)
    assert window_error_db(predicted.decode, int(predicted.durations.sum())) < -6


def test_fixed_statistics_leave_the_loudness_of_the_export(kokoro_dir: Path):
    voice = KokoroVoice(kokoro_dir)
    export = ort.InferenceSession(kokoro_dir / "kokoro.onnx")
    phonemes = shared_phonemiser()(CLAUSE).phonemes
    predicted = voice._predict(phonemes)
    steps = int(predicted.durations.sum())
    ours = predicted.decode(Window(0, steps, 0, steps))
    inputs = {
        "tokens": np.array([phoneme_ids(phonemes)], np.int64),
        "style": voice._style,
        "speed": np.ones(1, np.float32),
    }
    theirs = export.run(["audio"], inputs)[0].reshape(-1)
    assert len(ours) == len(theirs)
    levels = [_levels_db(signal) for signal in (ours, theirs)]
    loud = levels[1] > levels[1].max() - 25
    assert np.abs(np.mean((levels[0] - levels[1])[loud])) < 2
    assert np.corrcoef(levels[0][loud], levels[1][loud])[0, 1] > 0.9


def _levels_db(signal: Float32Array) -> Float32Array:
    frames = signal[: len(signal) // 1200 * 1200].reshape(-1, 1200)
    return 10 * np.log10(np.mean(frames**2, axis=1) + 1e-8)


def test_phases_run_on_from_the_first_frame():
    pitch = np.full(40, 200.0, np.float32)
    phases = harmonic_phases(pitch)
    assert phases.shape == (41, 1, 1, 9)
    # 200 Hz turns 2.5 times in a frame of 300 samples.
    turns = phases[:, 0, 0, 0] * 300
    assert turns[:4] == pytest.approx([0, 0.5, 0, 0.5], abs=1e-4)


def test_another_export_is_refused_by_name(kokoro_dir: Path):
    hibari = store.locate("kokoro-student") / "hibari.onnx"
    with pytest.raises(MissingModelError, match="kokoro-82m"):
        split_kokoro(hibari, np.zeros((1, 256), np.float32), [[0, 50, 0]])
    with pytest.raises(MissingModelError, match="kokoro-student"):
        split_student(kokoro_dir / "kokoro.onnx")


def test_an_unknown_voice_names_those_there_are(kokoro_dir: Path):
    with pytest.raises(MissingModelError, match="af_heart"):
        KokoroVoice(kokoro_dir, voice="zz_nobody")
