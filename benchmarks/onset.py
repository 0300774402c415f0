"""Is the first word whole? Where the recogniser's gate opens, against where speech begins.

    python -m benchmarks.onset [--data DIR]

Real commands, each as recorded and with a loud start: the stream begins with the speech, as when
somebody talks while the connection opens. Single spoken digits, cut close by those who recorded
them and laid into room tone at a known sample: there a breath cannot be taken for a word. Prints
one JSON line, which names the clips that lose more than `ALLOWED_S`.

A word begins where the level first comes within `BELOW_SPEECH_DB` of the clip's speech. It used to
be 12 dB above the quietest tenth, which in clips with digital silence is a breath 40 dB below the
word.
"""

import argparse
import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
import soxr

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, to_int16
from agent.audio.ring import PRE_ROLL_SAMPLES
from agent.models.store import locate
from agent.vad.endpointer import Endpointer, SpeechStarted, SpeechStopped
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP, SileroModel, SileroPosterior
from benchmarks.machine import describe
from benchmarks.turns_data import hiss

FRAME = samples(0.01)
ABOVE_FLOOR_DB = 12.0
"""Of a clip's quietest tenth: what does not rise above it is the room."""

BELOW_SPEECH_DB = 30.0
"""Of the clip's speech, its loud frames: the weakest consonants, "f" and "th", lie 20 to 30 dB
below vowels. What is fainter is breath."""

LOOK_BACK_S = 0.4
ALLOWED_S = 0.05

SURE = 0.9
"""Posterior that only speech reaches: a click at the beginning of a recording does not."""

LEAD_S = 1.0
"""Room tone before a digit."""


@dataclass(frozen=True, slots=True)
class Take:
    """One utterance.

    Attributes:
        name: Of its recording.
        pcm: Mono, int16, 16 kHz.
        onset: First sample of the first word.
    """

    name: str
    pcm: Int16Array
    onset: int


def main(data: Path) -> dict[str, Any]:
    """Listen to every recording."""
    model = SileroModel(locate("silero-vad") / "silero_vad.onnx")
    kinds = {"commands": _commands(data, model), "digits": _digits(data)}
    figures: dict[str, Any] = {}
    for kind, takes in kinds.items():
        for name, loud in (("as recorded", False), ("loud start", True)):
            heard = [_starting(take) if loud else take for take in takes]
            posteriors = [_posterior(model, take.pcm) for take in heard]
            for profile in Profile:
                figures[f"{kind}, {profile.value}, {name}"] = _summary(
                    {
                        take.name: _clipped_s(posterior, take.onset, profile)
                        for take, posterior in zip(heard, posteriors, strict=True)
                    }
                )
    return {"benchmark": "onset", "readings": figures, **describe()}


def _summary(clipped: dict[str, float | None]) -> dict[str, Any]:
    heard = {name: value for name, value in clipped.items() if value is not None}
    late = sorted(name for name, value in heard.items() if value > ALLOWED_S)
    return {
        "n": len(clipped),
        "never_opened": len(clipped) - len(heard),
        "clipped_over_50_ms": round(len(late) / len(clipped), 4),
        "p99_clipped_s": round(float(np.quantile(list(heard.values()), 0.99)), 3),
        "late": late,
    }


def _starting(take: Take) -> Take:
    """The same, the stream beginning with the speech."""
    return Take(take.name, take.pcm[take.onset :], 0)


def _clipped_s(posterior: list[float], onset: int, profile: Profile) -> float | None:
    """How much of the speech lies before the gate, in seconds; None if it never opens."""
    gate = Endpointer(READINGS[profile].prefetch, SAMPLE_RATE, HOP)
    opened: int | None = None
    for index, probability in enumerate(posterior):
        at = (index + 1) * HOP
        change = gate.push(probability, at)
        if isinstance(change, SpeechStarted):
            opened = at
        elif isinstance(change, SpeechStopped):
            opened = None
        # A noise before the word may have opened it, and closed it again.
        if opened is not None and at > onset:
            return max(0, opened - PRE_ROLL_SAMPLES - onset) / SAMPLE_RATE
    return None


def _posterior(model: SileroModel, pcm: Int16Array) -> list[float]:
    stream = SileroPosterior(model)
    return [stream.push(pcm[at : at + HOP]) for at in range(0, len(pcm) - HOP + 1, HOP)]


def _commands(data: Path, model: SileroModel) -> list[Take]:
    takes = []
    for path in sorted((data / "commands").glob("**/*.flac")):
        pcm = _read(path)
        posterior = _posterior(model, pcm)
        sure = next((index for index, p in enumerate(posterior) if p >= SURE), None)
        if sure is None:
            continue
        last = sure * HOP // FRAME
        first = max(0, last - round(LOOK_BACK_S * SAMPLE_RATE / FRAME))
        takes.append(Take(path.stem, pcm, _first_loud(pcm, first, last) * FRAME))
    return takes


def _digits(data: Path) -> list[Take]:
    takes = []
    for number, path in enumerate(sorted((data / "digits").glob("*.flac"))):
        said, rate = soundfile.read(path, dtype="float32")
        pcm = to_int16(soxr.resample(said, rate, SAMPLE_RATE).astype(np.float32))
        rng = np.random.default_rng(number)
        lead, tail = hiss(samples(LEAD_S), rng), hiss(samples(LEAD_S), rng)
        onset = len(lead) + _first_loud(pcm, 0, len(pcm) // FRAME) * FRAME
        takes.append(Take(path.stem, np.concatenate([lead, pcm, tail]), onset))
    return takes


def _first_loud(pcm: Int16Array, first: int, last: int) -> int:
    """First frame of the first word, by its level, among those from `first` to `last`."""
    frames = pcm[: len(pcm) // FRAME * FRAME].astype(np.float64).reshape(-1, FRAME)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1.0)
    audible = max(
        np.quantile(level, 0.1) + ABOVE_FLOOR_DB, np.quantile(level, 0.95) - BELOW_SPEECH_DB
    )
    for frame in range(first, last):
        if (level[frame : frame + 5] > audible).all():
            return frame
    return last


def _read(path: Path) -> Int16Array:
    pcm, rate = soundfile.read(path, dtype="int16")
    assert rate == SAMPLE_RATE, path
    return np.asarray(pcm, np.int16)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--data", type=Path, default=Path(os.environ.get("DUPLEX_DATA", "../shared/data"))
    )
    print(json.dumps(main(parser.parse_args().data)))
