"""Interruptions found, and backchannels, coughs and echoes not taken for one.

    python -m benchmarks.overlap --data DIR [--orders 60] [--sets tuned,judged,fresh,last]

DIR holds `commands/`, and `commands-others/` for the set "last". The clips of each set are
described in `benchmarks.overlap_clips`; the agent speaks through all of each clip and is not heard
to pause. The real speech detector and recogniser hear every clip, the real policy decides, on the
sample clock (`benchmarks.ladder`). Prints one JSON line.

Recall: share of interruptions with BARGE_IN. False positives: share of the others with it. Delay:
from the first sample of the user's speech to BARGE_IN. Verdict: from the moment the agent was
paused to BARGE_IN or to its going on. Resume: from the first sample of what was no interruption to
the agent's going on.
"""

import argparse
import json
import statistics
import sys
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from agent.asr.streaming import StreamingSettings
from agent.audio.chunk import seconds
from agent.turns.events import Decision, DecisionKind
from agent.turns.overlap_settings import OverlapSettings
from agent.turns.policy_settings import PolicySettings
from benchmarks.ladder import RECOGNITION_S, Ears, Sound, decisions
from benchmarks.machine import describe
from benchmarks.overlap_clips import SETS, SNRS_DB, Clip, clips_of


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one clip; times in seconds, None where it did not happen.

    Attributes:
        clip: It.
        cut_s: From the onset to the agent's being cut.
        resumed_s: From the onset to the agent's first going on after a pause.
        verdict_s: From the agent's pause to the one or the other.
        reason: Why, with the words.
    """

    clip: Clip
    cut_s: float | None
    resumed_s: float | None
    verdict_s: float | None
    reason: str


def outcome(clip: Clip, sound: Sound, ears: Ears, settings: OverlapSettings) -> Outcome:
    """Run a clip up to the agent's being cut."""
    made: list[Decision] = []
    for decision in decisions(sound, clip.floors(), ears, PolicySettings(overlap=settings)):
        made.append(decision)
        if decision.kind is DecisionKind.BARGE_IN:
            break
    paused = _first(made, DecisionKind.PAUSE)
    cut = _first(made, DecisionKind.BARGE_IN)
    on = (DecisionKind.RESUME, DecisionKind.BACKCHANNEL)
    resumed = _first([d for d in made if paused and d.at_sample > paused.at_sample], *on)
    verdict = resumed or cut
    last = cut or resumed
    return Outcome(
        clip,
        seconds(cut.at_sample - clip.onset) if cut else None,
        seconds(resumed.at_sample - clip.onset) if resumed else None,
        seconds(verdict.at_sample - paused.at_sample) if verdict and paused else None,
        f"{last.reason}: {last.evidence.get('words', '')}" if last else "",
    )


def _first(made: Sequence[Decision], *kinds: DecisionKind) -> Decision | None:
    return next((decision for decision in made if decision.kind in kinds), None)


def report(outcomes: Sequence[Outcome]) -> dict[str, Any]:
    """Recall, false positives and delays."""
    kinds = sorted({item.clip.kind for item in outcomes})
    others = [item for item in outcomes if item.clip.kind != "interruption"]
    cuts = [
        item.cut_s
        for item in outcomes
        if item.clip.kind == "interruption" and item.cut_s is not None
    ]
    verdicts = [item.verdict_s for item in outcomes if item.verdict_s is not None]
    resumes = [
        item.resumed_s for item in others if item.resumed_s is not None and item.cut_s is None
    ]
    return {
        "clips": {kind: sum(item.clip.kind == kind for item in outcomes) for kind in kinds},
        "cut_share": {
            kind: _share([i.cut_s is not None for i in outcomes if i.clip.kind == kind])
            for kind in kinds
        },
        "false_positive_share": _share([item.cut_s is not None for item in others]),
        "delay_s": _spread(cuts),
        "verdict_s": _spread(verdicts),
        "resume_s": _spread(resumes),
    }


def _share(hits: Sequence[bool]) -> float | None:
    return round(sum(hits) / len(hits), 4) if hits else None


def _spread(values: Sequence[float]) -> dict[str, float]:
    if not values:
        return {}
    return {
        "p50": round(statistics.median(values), 3),
        "p90": round(float(np.quantile(values, 0.9)), 3),
        "max": round(max(values), 3),
    }


def judge(
    clips: Sequence[tuple[Clip, Sound]], ears: Ears, settings: OverlapSettings
) -> list[Outcome]:
    """What becomes of every clip."""
    return [outcome(clip, sound, ears, settings) for clip, sound in clips]


def main(folder: Path, orders: int, sets: Sequence[str], *, verbose: bool) -> dict[str, Any]:
    """Hear every clip once, then judge."""
    ears = Ears()
    settings = OverlapSettings()
    found: dict[str, Any] = {}
    for name in sets:
        clips = clips_of(folder, name, orders, ears)
        if not clips:
            sys.exit(f"no recordings in {folder / SETS[name].folder}; give its parent with --data")
        heard = [(clip, ears.listen(clip.pcm, clip.far)) for clip in clips]
        outcomes = judge(heard, ears, settings)
        if verbose:
            for item in outcomes:
                _explain(item)
        found[name] = {
            "all": report(outcomes),
            "by_snr": {
                f"{snr:g} dB": report([i for i in outcomes if i.clip.name.endswith(f"/{snr:g} dB")])
                for snr in SNRS_DB
            },
            "without_echo_veto": report(judge(heard, ears, replace(settings, echo_share=2.0))),
        }
    return {
        "benchmark": "overlap",
        "machine": describe(),
        "recognition_s": RECOGNITION_S,
        "first_partials_s": StreamingSettings().first_partials_s,
        "sets": found,
    }


def _explain(item: Outcome) -> None:
    is_right = (item.cut_s is not None) == (item.clip.kind == "interruption")
    mark = " " if is_right else "!"
    print(mark, item.clip.name, item.cut_s, item.resumed_s, item.reason, file=sys.stderr)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--orders", type=int, default=60, help="interruptions in each set")
    parser.add_argument("--sets", default="tuned,judged,fresh", help="which, joined by commas")
    parser.add_argument("--verbose", action="store_true", help="every clip, on standard error")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    given = parser.parse_args()
    print(json.dumps(main(given.data, given.orders, given.sets.split(","), verbose=given.verbose)))
