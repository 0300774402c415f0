"""Is the first word whole? Where the recogniser's gate opens, against where speech begins.

    python -m benchmarks.onset [--data DIR]

Real commands, each as recorded and with a loud start: the stream begins with the speech, as when
somebody talks while the connection opens. Prints one JSON line.
"""

import argparse
import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples
from agent.audio.ring import PRE_ROLL_SAMPLES
from agent.models.store import locate
from agent.vad.endpointer import Endpointer, SpeechStarted
from agent.vad.readings import READINGS, Profile
from agent.vad.silero import HOP, SileroModel, SileroPosterior
from benchmarks.machine import describe

FRAME = samples(0.01)
ABOVE_FLOOR_DB = 12.0
"""Of a clip's quietest tenth: what rises above it for 50 ms, before the posterior does, is the
beginning of the word. A breath may count as one; that only makes the benchmark harder."""

LOOK_BACK_S = 0.4
ALLOWED_S = 0.05


def main(data: Path) -> dict[str, Any]:
    """Listen to every command."""
    model = SileroModel(locate("silero-vad") / "silero_vad.onnx")
    clips = [_read(path) for path in sorted((data / "commands").glob("**/*.flac"))]
    figures: dict[str, Any] = {}
    for profile in Profile:
        for name, loud in (("as recorded", False), ("loud start", True)):
            clipped = [_clipped_s(model, clip, profile, loud) for clip in clips]
            heard = [value for value in clipped if value is not None]
            figures[f"{profile.value}, {name}"] = {
                "n": len(heard),
                "never_opened": len(clipped) - len(heard),
                "clipped_over_50_ms": round(np.mean(np.array(heard) > ALLOWED_S).item(), 4),
                "p99_clipped_s": round(float(np.quantile(heard, 0.99)), 3),
            }
    return {"benchmark": "onset", "readings": figures, **describe()}


def _clipped_s(model: SileroModel, clip: Int16Array, profile: Profile, loud: bool) -> float | None:
    """How much of the speech lies before the gate, in seconds; None if it never opens."""
    onset = _onset(clip, _posterior(model, clip))
    if onset is None:
        return None
    if loud:
        clip, onset = clip[onset:], 0
    gate = Endpointer(READINGS[profile].prefetch, SAMPLE_RATE, HOP)
    for index, probability in enumerate(_posterior(model, clip)):
        at = (index + 1) * HOP
        if isinstance(gate.push(probability, at), SpeechStarted):
            return max(0, at - PRE_ROLL_SAMPLES - onset) / SAMPLE_RATE
    return None


def _posterior(model: SileroModel, clip: Int16Array) -> list[float]:
    stream = SileroPosterior(model)
    return [stream.push(clip[at : at + HOP]) for at in range(0, len(clip) - HOP + 1, HOP)]


def _onset(clip: Int16Array, posterior: list[float]) -> int | None:
    """First sample of the first word, by its level."""
    sure = next((index for index, p in enumerate(posterior) if p >= 0.5), None)
    if sure is None:
        return None
    frames = clip[: len(clip) // FRAME * FRAME].astype(np.float64).reshape(-1, FRAME)
    level = 10 * np.log10(np.mean(frames**2, axis=1) + 1.0)
    loud = level > np.quantile(level, 0.1) + ABOVE_FLOOR_DB
    last = sure * HOP // FRAME
    first = max(0, last - round(LOOK_BACK_S * SAMPLE_RATE / FRAME))
    for frame in range(first, last):
        if loud[frame : frame + 5].all():
            return frame * FRAME
    return last * FRAME


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
