"""Kokoro's distilled student: the same voice at a sixtieth of the work."""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from agent.audio.chunk import Float32Array
from agent.models import store
from agent.tts.graph import open_graph
from agent.tts.phonemes import phoneme_ids, shared_phonemiser
from agent.tts.prepared import Graphs, prepared
from agent.tts.speech import Speech
from agent.tts.streaming import SAMPLE_RATE, PredictedClause, stream
from agent.tts.windows import Window

if TYPE_CHECKING:
    from agent.models.kokoro_graph import Split

LONGEST_RUN = 400
"""Phonemes synthesised at once, the longest sentence its maker allows."""

_SPECTRUM = ["lh", "theta", "ln", "lr", "phi"]
_FRAME_SAMPLES = 300
_LOUDEST = 7.0
"""Log magnitude at which the network's own training clipped."""


class StudentVoice:
    """Speaks with the student. One is shared by all sessions, used by several at once."""

    def __init__(self, model_dir: Path | None = None, seed: int = 0) -> None:
        """Load the weights.

        Args:
            model_dir: Holds ``hibari.onnx``; by default where the model store finds it.
            seed: Of the noise in breathy sounds: the same clause always gives the same samples.

        Raises:
            MissingModelError: The weights are absent or damaged.
        """
        directory = model_dir or store.locate("kokoro-student")
        with prepare(directory) as graphs:
            self._prosody = open_graph(graphs.prosody)
            self._decoder = open_graph(graphs.decoder)
        self._phonemise = shared_phonemiser()
        self._seed = seed

    @property
    def name(self) -> str:
        """Model and voice, for records and metrics."""
        return "kokoro-student/af_heart"

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
            "speed": np.ones(1, np.float32),
        }
        outputs = ["features", "pitch", "energy", "durations"]
        features, pitch, energy, durations = self._prosody.run(outputs, inputs)

        def decode(window: Window) -> Float32Array:
            frames = slice(2 * window.run_start, 2 * window.run_end)
            spectrum = self._decoder.run(
                _SPECTRUM,
                {
                    "features": features[:, :, window.run_start : window.run_end],
                    "pitch": pitch[:, frames],
                    "energy": energy[:, frames],
                },
            )
            noise = np.random.default_rng((self._seed, window.run_start))
            # The harmonics' phase runs on from the clause's first frame.
            pulses = _pulses(pitch[0, : frames.stop])[frames.start * _FRAME_SAMPLES :]
            return _waveform([part[0] for part in spectrum], pulses, noise)

        return PredictedClause(durations, decode)


def _pulses(pitch: Float32Array) -> Float32Array:
    from hibari import dsp

    pulses: Float32Array = dsp.pulses(pitch)
    return pulses


def _waveform(
    spectrum: Sequence[Float32Array], pulses: Float32Array, noise: np.random.Generator
) -> Float32Array:
    """Sum the network's three branches and invert the spectrum.

    Harmonics: the pulses' spectrum, scaled and turned. Noise: random, scaled. The rest: magnitudes
    and phases as they are.

    Args:
        spectrum: Log magnitude and turn of the harmonics, log magnitude of the noise, log magnitude
            and phase of the rest, each shape (601, frames).
        pulses: Shape (300 * frames,), 24 kHz.
        noise: Where the noise comes from.
    """
    from hibari import dsp

    loud, turn, noise_loud, rest_loud, rest_phase = spectrum
    bins, frames = loud.shape
    random = noise.standard_normal((2, bins, frames), np.float32)
    total = dsp.stft(pulses, frames) * _polar(loud, np.float32(np.pi) * np.tanh(turn))
    total += _magnitude(noise_loud) * (random[0] + 1j * random[1])
    total += _polar(rest_loud, rest_phase)
    samples: Float32Array = dsp.ola(total.astype(np.complex64))
    return samples


def _magnitude(log: Float32Array) -> Float32Array:
    magnitude: Float32Array = np.exp(np.minimum(log, _LOUDEST))
    return magnitude


def _polar(
    log: Float32Array, angle: Float32Array
) -> "np.ndarray[tuple[int, ...], np.dtype[np.complex64]]":
    result = np.empty(log.shape, np.complex64)
    magnitude = _magnitude(log)
    np.multiply(np.cos(angle), magnitude, out=result.real)
    np.multiply(np.sin(angle), magnitude, out=result.imag)
    return result


def prepare(model_dir: Path) -> AbstractContextManager[Graphs]:
    """Give the two graphs the voice needs, as `prepared` does.

    Raises:
        MissingModelError: The weights are absent or of another export.
    """
    export = model_dir / "hibari.onnx"

    def make() -> "Split":
        from agent.models.kokoro_graph import split_student

        return split_student(export)

    return prepared("kokoro-student", [export], make)
