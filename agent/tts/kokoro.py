"""Kokoro-82M, the full voice."""

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agent.audio.chunk import Float32Array
from agent.errors import MissingModelError
from agent.models import store
from agent.tts.graph import open_graph
from agent.tts.phonemes import phoneme_ids, shared_phonemiser
from agent.tts.prepared import Graphs, prepared
from agent.tts.speech import Speech
from agent.tts.streaming import SAMPLE_RATE, SAMPLES_PER_STEP, PredictedClause, stream
from agent.tts.windows import Window

if TYPE_CHECKING:
    from agent.models.kokoro_graph import Split

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

_HARMONICS = np.arange(1, 10)


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
        with prepare(directory, voice) as graphs:
            self._prosody = open_graph(graphs.prosody)
            self._decoder = open_graph(graphs.decoder, threads=_decoder_threads())

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
        return stream(clause, self._phonemise, self._predict, LONGEST_RUN)

    def _predict(self, phonemes: str) -> PredictedClause:
        inputs = {
            "tokens": np.array([phoneme_ids(phonemes)], np.int64),
            "style": self._style,
            "speed": np.ones(1, np.float32),
        }
        outputs = ["features", "pitch", "energy", "durations"]
        features, pitch, energy, durations = self._prosody.run(outputs, inputs)
        phases = harmonic_phases(pitch[0])

        def decode(window: Window) -> Float32Array:
            frames = slice(2 * window.run_start, 2 * window.run_end)
            (audio,) = self._decoder.run(
                ["audio"],
                {
                    "features": features[:, :, window.run_start : window.run_end],
                    "pitch": pitch[:, frames],
                    "energy": energy[:, frames],
                    "style": self._style,
                    "phase": phases[frames.start],
                },
            )
            samples: Float32Array = audio.reshape(-1)
            return samples

        return PredictedClause(durations, decode)


def harmonic_phases(pitch: Float32Array) -> Float32Array:
    """Phase of each harmonic before each frame, as the decoder sums it. Pure.

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


def prepare(model_dir: Path, voice: str = "af_heart") -> AbstractContextManager[Graphs]:
    """Give the two graphs the voice needs, as `prepared` does.

    Raises:
        MissingModelError: The weights are absent or of another export.
    """
    export, table = model_dir / "kokoro.onnx", model_dir / "voices" / f"{voice}.bin"

    def make() -> "Split":
        from agent.models.kokoro_graph import split_kokoro

        phonemise = shared_phonemiser()
        calibration = [phoneme_ids(phonemise(clause).phonemes) for clause in _CALIBRATION]
        return split_kokoro(export, _read_style(model_dir, voice), calibration)

    return prepared(f"kokoro-82m-{voice}", [export, table], make)


def _decoder_threads() -> int:
    # Half the cores are left to the recogniser and the language model; past four nothing is won.
    return max(1, min(4, (os.cpu_count() or 1) // 2))


def _read_style(model_dir: Path, voice: str) -> Float32Array:
    path = model_dir / "voices" / f"{voice}.bin"
    if not path.is_file():
        known = ", ".join(sorted(file.stem for file in (model_dir / "voices").glob("*.bin")))
        raise MissingModelError(f"Kokoro has no voice {voice} here; there are: {known or 'none'}")
    styles: Float32Array = np.fromfile(path, np.float32).reshape(-1, 1, 256)
    row: Float32Array = styles[_STYLE_ROW]
    return row
