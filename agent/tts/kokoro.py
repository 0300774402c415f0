"""Kokoro-82M, the full voice: a clause is heard while its rest is still being decoded."""

import hashlib
import math
import os
import shutil
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from agent.audio.chunk import Float32Array, to_int16
from agent.errors import MissingModelError
from agent.models import store
from agent.tts.graph import open_graph
from agent.tts.pauses import pause_after, trim_end, trim_start
from agent.tts.phonemes import Pronunciation, cut, phoneme_ids, shared_phonemiser
from agent.tts.speech import Speech, SpokenWord
from agent.tts.timing import STEPS_PER_SECOND, shift, word_times
from agent.tts.windows import Joiner, Window, plan_windows

SAMPLE_RATE = 24_000
SAMPLES_PER_STEP = SAMPLE_RATE // STEPS_PER_SECOND

LONGEST_RUN = 400
"""Phonemes of one run of the prosody model, whose positions end at 510."""

_STYLE_ROW = 60
"""The table has a style for each number of phonemes; the decoder's statistics hold for one. This
one is of clauses of a dozen words, and gives single words a steadier voice than their own does."""

_CALIBRATION = (
    "The quick brown fox jumps over the lazy dog, and nobody minds.",
    "I can help you with that, would Tuesday at half past ten suit you?",
    "Thank you for calling, please hold on while I look that up.",
)
"""Clauses as an agent says them, over which the decoder's statistics are measured."""

_RECIPE = "1"
"""Changes when the files made from the same export would differ."""

_HARMONICS = np.arange(1, 10)
_SOFT_ONSET_STEPS = 4
"""Sounds begin up to 75 ms before the duration model says."""


class KokoroVoice:
    """Speaks with the full model. One is shared by all sessions, used by several at once."""

    def __init__(self, model_dir: Path | None = None, voice: str = "af_heart") -> None:
        """Load the weights; the first time on a machine they are first cut in two (10 s).

        Args:
            model_dir: Holds ``kokoro.onnx`` and ``voices/``; by default where the store finds it.
            voice: Name of a file in ``voices/``.

        Raises:
            MissingModelError: The weights are absent or damaged.
        """
        directory = model_dir or store.locate("kokoro-82m")
        self._voice = voice
        self._style = _read_style(directory, voice)
        self._phonemise = shared_phonemiser()
        prepared = prepare(directory, voice)
        self._prosody = open_graph(prepared / "prosody.onnx")
        self._decoder = open_graph(prepared / "decoder.onnx", threads=_decoder_threads())

    @property
    def name(self) -> str:
        """Model and voice, for records and metrics."""
        return f"kokoro-82m/{self._voice}"

    @property
    def sample_rate(self) -> int:
        """Of every `Speech` it gives, in Hz."""
        return SAMPLE_RATE

    def speak(self, clause: str) -> Iterator[Speech]:
        """Synthesise one clause, window by window."""
        pieces = [p for p in cut(self._phonemise(clause), LONGEST_RUN) if p.phonemes]
        for piece in pieces:
            yield from self._stream(
                piece, pause_after(clause if piece is pieces[-1] else piece.phonemes)
            )

    def _stream(self, piece: Pronunciation, pause_s: float) -> Iterator[Speech]:
        clause = self._predict(piece)
        ends = np.cumsum(clause.durations)
        # What the pads and closing signs give is silence: neither decoded nor heard.
        start = max(0, int(ends[0]) - _SOFT_ONSET_STEPS)
        last_phoneme = max((word.end for word in piece.words), default=len(piece.phonemes))
        limit = clause.features.shape[2]
        end = min(limit, int(ends[last_phoneme]) + math.ceil(pause_s * STEPS_PER_SECOND))
        words = list(word_times(piece.words, clause.durations))
        joiner = Joiner(SAMPLES_PER_STEP)
        for window in plan_windows(start, end, limit):
            pcm = to_int16(joiner.push(window, self._decode(clause, window)))
            is_last = window.end == end
            begun, words = _begun_before(window.end, words, is_last)
            speech = Speech(pcm, SAMPLE_RATE, shift(begun, -window.start / STEPS_PER_SECOND))
            if is_last:
                speech = trim_end(speech, pause_s)
            yield trim_start(speech) if window.start == start else speech

    def _predict(self, piece: Pronunciation) -> "_Clause":
        inputs = {
            "tokens": np.array([phoneme_ids(piece.phonemes)], np.int64),
            "style": self._style,
            "speed": np.ones(1, np.float32),
        }
        outputs = ["features", "pitch", "energy", "durations"]
        features, pitch, energy, durations = self._prosody.run(outputs, inputs)
        return _Clause(features, pitch, energy, durations, _phases(pitch[0]))

    def _decode(self, clause: "_Clause", window: Window) -> Float32Array:
        steps = slice(window.run_start, window.run_end)
        frames = slice(2 * steps.start, 2 * steps.stop)
        inputs = {
            "features": clause.features[:, :, steps],
            "pitch": clause.pitch[:, frames],
            "energy": clause.energy[:, frames],
            "style": self._style,
            "phase": clause.phases[frames.start],
        }
        audio: Float32Array = self._decoder.run(["audio"], inputs)[0]
        flat: Float32Array = audio.reshape(-1)
        return flat


@dataclass(frozen=True, slots=True)
class _Clause:
    """What the prosody model says of a clause; shapes as in `kokoro_graph.Split`."""

    features: Float32Array
    pitch: Float32Array
    energy: Float32Array
    durations: npt.NDArray[np.int64]
    phases: Float32Array


def _phases(pitch: Float32Array) -> Float32Array:
    """Phase of each harmonic before each frame, as the decoder sums it.

    Args:
        pitch: Shape (frames,), in Hz, 80 frames a second.

    Returns:
        Shape (frames + 1, 1, 1, 9), in cycles a sample; 300 samples a frame, so only the
        remainder modulo 1/300 turns the phase.
    """
    per_frame = SAMPLES_PER_STEP // 2
    cycles = np.mod(pitch[:, None].astype(np.float64) * _HARMONICS / SAMPLE_RATE, 1.0)
    summed = np.concatenate([np.zeros((1, len(_HARMONICS))), np.cumsum(cycles, axis=0)])
    phases: Float32Array = (np.mod(summed * per_frame, 1.0) / per_frame).astype(np.float32)
    return phases[:, None, None]


def _begun_before(
    step: int, words: list[SpokenWord], is_last: bool
) -> tuple[list[SpokenWord], list[SpokenWord]]:
    limit_s = math.inf if is_last else step / STEPS_PER_SECOND
    count = sum(word.start_s < limit_s for word in words)
    return words[:count], words[count:]


def _decoder_threads() -> int:
    # Half the cores are left to the recogniser and the language model; past four nothing is won.
    return max(1, min(4, (os.cpu_count() or 1) // 2))


def prepare(model_dir: Path, voice: str = "af_heart") -> Path:
    """Make the two graphs of `agent.models.kokoro_graph`, unless they are there.

    Returns:
        The directory that holds them.

    Raises:
        MissingModelError: The weights are absent or of another export.
    """
    target = store.home() / "prepared" / f"kokoro-82m-{voice}-{_fingerprint(model_dir, voice)}"
    if target.is_dir():
        return target
    # Imported here: only this once does the agent need the onnx package.
    import onnx

    from agent.models import kokoro_graph

    phonemise = shared_phonemiser()
    calibration = [phoneme_ids(phonemise(clause).phonemes) for clause in _CALIBRATION]
    style = _read_style(model_dir, voice)
    split = kokoro_graph.split(model_dir / "kokoro.onnx", style, calibration)
    target.parent.mkdir(parents=True, exist_ok=True)
    making = Path(tempfile.mkdtemp(prefix=f"{target.name}.", dir=target.parent))
    onnx.save(split.prosody, making / kokoro_graph.PROSODY)
    onnx.save(split.decoder, making / kokoro_graph.DECODER)
    try:
        # Whole or not at all: another process may be making the same.
        making.rename(target)
    except OSError:
        shutil.rmtree(making)
    return target


def _fingerprint(model_dir: Path, voice: str) -> str:
    stamps = [_RECIPE]
    for path in (model_dir / "kokoro.onnx", model_dir / "voices" / f"{voice}.bin"):
        if not path.is_file():
            raise MissingModelError(f"{path} is missing; run: duplex models fetch kokoro-82m")
        stamps.append(f"{path.stat().st_size} {path.stat().st_mtime_ns}")
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:12]


def _read_style(model_dir: Path, voice: str) -> Float32Array:
    path = model_dir / "voices" / f"{voice}.bin"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (model_dir / "voices").glob("*.bin")))
        raise MissingModelError(f"Kokoro has no voice {voice} here; there are: {known or 'none'}")
    styles: Float32Array = np.fromfile(path, np.float32).reshape(-1, 1, 256)
    row: Float32Array = styles[_STYLE_ROW]
    return row
