"""The agent's own voice taken for the user, and users lost in it.

    python -m benchmarks.echo --data DIR [--minutes 30] [--only self|recordings]

Self-echo: our own voice speaks for so many minutes; every call plays it through one of two
synthetic rooms back into the microphone, at -20 to 0 dB and 0 to 250 ms late, and in half of the
answers a person (`commands/`) speaks over it (`benchmarks.self_echo`). Arms: as shipped behind
WebRTC's canceller; and, with --alone, the canceller alone, without level and word veto.

Recordings (`echo/`, from Microsoft's AEC challenge): what a poor canceller left, without its
reference, so that the ladder has none of the agent's words and knows only that it speaks: far-end
clips in which the agent is cut, and double-talk clips in which it is not.

The real speech detector, recogniser and policy (`benchmarks.ladder`); prints one JSON line.
"""

import argparse
import json
import sys
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from agent.audio.chunk import SAMPLE_RATE, seconds
from agent.turns.events import Decision, DecisionKind
from agent.turns.overlap_settings import OverlapSettings
from benchmarks.ladder import Ears, decisions, speaking
from benchmarks.machine import describe
from benchmarks.self_echo import Call, Cast, Scene, Tally

AGENT_RMS = 1642.0
"""Of the voice that is taken to play behind a recording whose reference is not published: -26 dBFS,
the agent's level. A session always knows that its agent speaks, and how loud."""


def self_echo(folder: Path, minutes: float, ears: Ears, *, alone: bool) -> dict[str, Any]:
    """All arms on the same scenes."""
    settings = OverlapSettings()
    arms = {"shipped": settings}
    if alone:
        arms["canceller_alone"] = replace(settings, echo_share=2.0, echo_margin_db=-200.0)
    people = sorted((folder / "commands").glob("*.flac"))
    if not people:
        sys.exit(f"no recordings in {folder / 'commands'}; give their folder with --data")
    cast = Cast(people, ears)
    tallies = {name: Tally() for name in arms}
    number = 0
    while tallies["shipped"].speech < minutes * 60 * SAMPLE_RATE:
        scene = Scene(number)
        for name, arm in arms.items():
            Call(scene, cast, ears, arm).run(tallies[name])
        print(scene.name, tallies["shipped"].report(), file=sys.stderr, flush=True)
        number += 1
    return {name: tally.report() | {"wrong": tally.notes} for name, tally in tallies.items()}


def taken_at(made: Iterable[Decision]) -> int | None:
    """When the floor was taken from the agent."""
    return next((d.at_sample for d in made if d.kind is DecisionKind.BARGE_IN), None)


def recordings(folder: Path, ears: Ears) -> dict[str, Any]:
    """Far-end clips taken for the user, double-talk clips missed."""
    taken = {"farend_singletalk": [0, 0], "doubletalk": [0, 0]}
    random = np.random.default_rng(0)
    for path in sorted((folder / "echo").glob("*.flac")):
        kind = next(kind for kind in taken if kind in path.stem)
        pcm, _ = soundfile.read(path, dtype="int16")
        far = np.rint(random.normal(0, AGENT_RMS, len(pcm))).astype(np.int16)
        at = taken_at(decisions(ears.listen(pcm, far), speaking, ears))
        taken[kind][0] += at is not None
        taken[kind][1] += 1
        if (at is not None) == (kind == "farend_singletalk"):
            print("wrong:", path.stem, at and round(seconds(at), 2), file=sys.stderr)
    far_end, double = taken["farend_singletalk"], taken["doubletalk"]
    return {
        "far_end_clips": far_end[1],
        "far_end_taken_share": round(far_end[0] / max(1, far_end[1]), 4),
        "double_talk_clips": double[1],
        "double_talk_missed_share": round(1 - double[0] / max(1, double[1]), 4),
    }


def main(folder: Path, minutes: float, *, alone: bool, only: str) -> dict[str, Any]:
    ears = Ears()
    report: dict[str, Any] = {"benchmark": "echo", "machine": describe()}
    if only != "recordings":
        report["self_echo"] = self_echo(folder, minutes, ears, alone=alone)
    if only != "self":
        report["recordings"] = recordings(folder, ears)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minutes", type=float, default=30.0)
    parser.add_argument("--alone", action="store_true", help="also the canceller alone")
    parser.add_argument("--only", choices=("", "self", "recordings"), default="")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    given = parser.parse_args()
    print(json.dumps(main(given.data, given.minutes, alone=given.alone, only=given.only)))
