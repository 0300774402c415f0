"""Cut-offs and dead air of the turn policy, on recordings, beside plain timeouts.

    python -m benchmarks.turns --data DIR [--clips 150]

DIR holds `commands/`: one spoken order a file, with its real pauses and its room's tone behind. The
models run once over each clip; every policy is then given the same evidence, on the sample clock,
at the sample at which it would have had it. Prints one JSON line.

A cut-off is a COMMIT with speech still to come. Dead air is the silence from the last speech to
the COMMIT, without compute.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from agent.asr.hypothesis import Hypothesis
from agent.asr.moonshine import Moonshine
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, to_float
from agent.models.store import locate
from agent.turns.events import DecisionKind, Evidence, Heard, Prosody, SpeechProbability
from agent.turns.policy import PolicySettings, SilenceTable
from agent.turns.smart_turn import WINDOW_S, SmartTurn
from agent.vad.endpointer import Endpointer, EndpointerSettings, SpeechStarted
from agent.vad.silero import HOP, SileroModel, SileroPosterior
from benchmarks.machine import describe

RECOGNITION_S = 0.12
"""Assumed from the first silent hop to its text; measured on 2 cores for clips of 3 s."""

SCORING_S = 0.09
"""Likewise for Smart Turn."""

FIRST_SCORE_S, SCORE_EVERY_S, SCORE_UNTIL_S = 0.128, 0.16, 1.6
PRE_ROLL = samples(0.36)
LONGEST_S = 12.0
SPEECH_HOPS = 3

Clip = list[tuple[int, Evidence]]


class Ears:
    """The real models."""

    def __init__(self) -> None:
        self.silero = SileroModel(locate("silero-vad") / "silero_vad.onnx")
        self.smart_turn = SmartTurn(locate("smart-turn-v3.2") / "smart-turn-v3.2-cpu.onnx")
        self.moonshine = Moonshine(locate("moonshine-base-en"))

    def evidence(self, pcm: Int16Array) -> Clip:
        """Everything a policy would be told about a clip, and when."""
        posterior = SileroPosterior(self.silero)
        endpointer = Endpointer(EndpointerSettings(), SAMPLE_RATE, HOP)
        told: Clip = []
        start: int | None = None
        silent: int | None = None
        next_score = 0
        for begin in range(0, len(pcm) - HOP + 1, HOP):
            at = begin + HOP
            probability = posterior.push(pcm[begin:at])
            told.append((at, SpeechProbability(at, probability)))
            change = endpointer.push(probability, at)
            if isinstance(change, SpeechStarted) and start is None:
                start = max(0, change.start_sample - PRE_ROLL)
            if start is None:
                continue
            if probability >= EndpointerSettings().off_probability:
                silent = None
            elif endpointer.is_speech and silent is None:
                silent, next_score = at, at + samples(FIRST_SCORE_S)
                told.append((at + samples(RECOGNITION_S), self._heard(pcm, start, at)))
            if silent is not None and next_score <= at < silent + samples(SCORE_UNTIL_S):
                next_score = at + samples(SCORE_EVERY_S)
                told.append((at + samples(SCORING_S), self._prosody(pcm, at)))
        return sorted(told, key=lambda item: item[0])

    def _heard(self, pcm: Int16Array, start: int, at: int) -> Heard:
        text = self.moonshine.transcribe(to_float(pcm[start:at])).text
        return Heard(at, Hypothesis(1, text, (), False, start, at))

    def _prosody(self, pcm: Int16Array, at: int) -> Prosody:
        heard = pcm[max(0, at - WINDOW_S * SAMPLE_RATE) : at]
        return Prosody(at, self.smart_turn.score(heard))


def last_speech(clip: Clip) -> int:
    """Just after the clip's last run of at least three hops of speech."""
    run = end = 0
    for at, evidence in clip:
        if isinstance(evidence, SpeechProbability):
            run = run + 1 if evidence.probability >= EndpointerSettings().on_probability else 0
            end = at if run >= SPEECH_HOPS else end
    return end


def judge(clips: list[Clip], make: Callable[[], SilenceTable]) -> dict[str, Any]:
    """Run one policy over all clips."""
    cut_offs, dead_air = 0, []
    for clip in clips:
        policy, end = make(), last_speech(clip)
        commits = [
            decision.at_sample
            for _, evidence in clip
            for decision in policy.push(evidence)
            if decision.kind is DecisionKind.COMMIT
        ]
        cut_offs += any(at < end for at in commits)
        after = [at for at in commits if at >= end]
        if after:
            dead_air.append((after[0] - end) / SAMPLE_RATE)
    return {
        "cut_off_share": round(cut_offs / len(clips), 4),
        "dead_air_mean_s": round(statistics.mean(dead_air), 3),
        "dead_air_p50_s": round(statistics.median(dead_air), 3),
        "dead_air_p90_s": round(float(np.quantile(dead_air, 0.9)), 3),
        "never_ended": len(clips) - len(dead_air),
    }


def timeout(silence_s: float) -> PolicySettings:
    """A policy that knows only silence."""
    names = ("closed_and_final_s", "closed_s", "open_and_final_s", "open_s", "trailing_s")
    return replace(PolicySettings(), **dict.fromkeys(names, silence_s))


def main(folder: Path, count: int) -> dict[str, Any]:
    """Hear the clips once, then sweep."""
    paths = sorted((folder / "commands").glob("*.flac"))[:count]
    if not paths:
        sys.exit(f"no recordings in {folder / 'commands'}; give their folder with --data")
    ears = Ears()
    clips = []
    for path in paths:
        pcm, _ = soundfile.read(path, dtype="int16")
        clips.append(ears.evidence(pcm[: samples(LONGEST_S)]))
    policies = {
        f"table, closed_and_final_s={silence_s}": replace(
            PolicySettings(), closed_and_final_s=silence_s
        )
        for silence_s in (0.2, 0.25, 0.36, 0.45)
    }
    policies |= {f"timeout {s} s": timeout(s) for s in (0.4, 0.6, 0.8, 1.0, 1.5)}
    systems = {
        name: judge(clips, lambda known=known: SilenceTable(known))  # type: ignore[misc]
        for name, known in policies.items()
    }
    return {"benchmark": "turns", "clips": len(clips), "systems": systems, **describe()}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="folder with commands/")
    parser.add_argument("--clips", type=int, default=150, help="how many of the recordings")
    options = parser.parse_args()
    print(json.dumps(main(options.data, options.clips)))
