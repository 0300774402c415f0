"""Kokoro's distilled student: the same voice at a sixtieth of the work."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from agent.audio.chunk import to_int16
from agent.models import store
from agent.tts.graph import Element, open_graph
from agent.tts.pauses import pause_after, trim_end, trim_start
from agent.tts.phonemes import Pronunciation, cut, phoneme_ids, shared_phonemiser
from agent.tts.speech import Speech
from agent.tts.timing import word_times

SAMPLE_RATE = 24_000

LONGEST_RUN = 200
"""Phonemes synthesised at once: some 12 s of speech, all of a clause of usual length."""

_DURATIONS = "/Cast_32_output_0"
"""The graph's own name for its predicted durations: int64, steps of 25 ms per input id."""


class StudentVoice:
    """Speaks with the student. One is shared by all sessions and may be used by several at once."""

    def __init__(self, model_dir: Path | None = None, seed: int = 0) -> None:
        """Load the weights.

        Args:
            model_dir: Holds ``hibari.onnx``; by default where the model store finds it.
            seed: Of the noise in breathy sounds: the same clause always gives the same samples.

        Raises:
            MissingModelError: The weights are absent or damaged.
        """
        directory = model_dir or store.locate("kokoro-student")
        self._session = open_graph(directory / "hibari.onnx", {_DURATIONS: Element.INT64})
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
        """Synthesise one clause; a text without anything to say gives nothing."""
        pieces = [p for p in cut(self._phonemise(clause), LONGEST_RUN) if p.phonemes]
        for piece in pieces:
            pause_s = pause_after(clause if piece is pieces[-1] else piece.phonemes)
            yield trim_end(trim_start(self._synthesise(piece)), pause_s)

    def _synthesise(self, piece: Pronunciation) -> Speech:
        from hibari import dsp

        inputs = {
            "ids": np.array([phoneme_ids(piece.phonemes)], np.int64),
            "speed": np.ones(1, np.float32),
        }
        durations, *spectrum = self._session.run(
            [_DURATIONS, "lh", "theta", "ln", "lr", "phi", "f0"], inputs
        )
        signal = dsp.synth(*(part[0] for part in spectrum), np.random.default_rng(self._seed))
        words = word_times(piece.words, durations)
        return Speech(to_int16(signal.astype(np.float32)), SAMPLE_RATE, words)
