"""Fit the weights of the end-of-turn sum.

    python -m benchmarks.turns_cache --data DIR --into CACHE
    python -m benchmarks.turns_wording --cache CACHE
    python -m benchmarks.fit_turns --cache CACHE

DIR holds `commands/` (github.com/Picovoice/speech-to-intent-benchmark), `digits/`
(github.com/Jakobovski/free-spoken-digit-dataset) and, in `texts/`, the repositories of
`benchmarks.boundary_data`. Writes `agent/turns/fitted.py` and prints one
JSON line.

Logistic regression over moments of silence: at each, a turn's end is an example of an end, and a
pause one of a pause to the extent that it lasts so long. Pauses inside orders count together as
much as ends: one pause a turn. Only the clips of `is_taught` are used.
"""

import argparse
import hashlib
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from agent.turns.survival import surprise
from benchmarks.turns_cache import Pause, load
from benchmarks.turns_frontier import Floats
from benchmarks.turns_systems import HOPS_S, TERMS, evidence

FITTED = Path(__file__).resolve().parents[1] / "agent" / "turns" / "fitted.py"

UNTIL_S = 2.0
"""Longer silences are hardly ever reached and teach nothing."""

EVERY = 4
"""Neighbouring hops say the same."""

RIDGE = 1.0

ASKED = ("commands", "queries")
"""Sources of what nobody had asked for."""


def is_taught(clip: str) -> bool:
    """Whether a clip may be learnt from; the others are judged on.

    Three in five, by a hash of the name; of the people who speak digits, all but one.
    """
    if clip.startswith("digits-"):
        return not clip.startswith("digits-lucas-")
    return hashlib.sha256(clip.encode()).digest()[0] < 154


def fit(
    pauses: Sequence[Pause], table: Floats, used: Sequence[str], *, balanced: bool
) -> dict[str, float]:
    """Weights by term; those not used are 0.

    Args:
        pauses: To learn from.
        table: Their evidence.
        used: Terms to weigh.
        balanced: Whether pauses inside turns count together as much as ends.
    """
    columns = [TERMS.index(name) for name in used]
    ends = sum(pause.is_end for pause in pauses)
    share = ends / (len(pauses) - ends) if balanced else 1.0
    rows, labels, counts = [], [], []
    for pause, moments in zip(pauses, table, strict=True):
        for silence_s, moment in list(zip(HOPS_S, moments, strict=True))[::EVERY]:
            if silence_s > UNTIL_S or np.isnan(moment[columns]).any():
                continue
            rows.append(moment[columns])
            labels.append(float(pause.is_end))
            counts.append(1.0 if pause.is_end else share * lasting(pause, float(silence_s)))
    found = regression(np.array(rows), np.array(labels), np.array(counts) * EVERY / len(HOPS_S))
    return dict.fromkeys(TERMS, 0.0) | dict(zip(used, found.tolist(), strict=True))


def lasting(pause: Pause, silence_s: float) -> float:
    """Chance that a pause inside a turn lasts longer."""
    if pause.is_made or pause.lasts_s is None:
        return math.exp(-surprise(silence_s))
    return float(pause.lasts_s > silence_s)


def regression(rows: Floats, labels: Floats, counts: Floats) -> Floats:
    """Logistic regression by Newton's method; the first column, the bias, is free."""
    weights = np.zeros(rows.shape[1])
    ridge = np.eye(rows.shape[1]) * RIDGE
    ridge[0, 0] = 1e-6
    for _ in range(50):
        chance = 1 / (1 + np.exp(-rows @ weights))
        slope = rows.T @ (counts * (chance - labels)) + ridge @ weights
        curvature = (rows * (counts * chance * (1 - chance))[:, None]).T @ rows + ridge
        step = np.linalg.solve(curvature, slope)
        weights -= step
        if np.abs(step).max() < 1e-8:
            break
    return weights


def digits_say(pauses: Sequence[Pause], table: Floats) -> tuple[float, float]:
    """What it says for an end that digits are missing, and that none are.

    Log of the ratio of two chances, with one of each kind of pause added to what was counted.
    """
    context = table[:, -1, TERMS.index("context")]
    known = [(pause.is_end, state) for pause, state in zip(pauses, context, strict=True) if state]

    def chance(is_end: bool, state: float) -> float:
        among = [found for end, found in known if end is is_end]
        return (among.count(state) + 1) / (len(among) + 2)

    missing = math.log(chance(True, -1.0) / chance(False, -1.0))
    return missing, math.log(chance(True, 1.0) / chance(False, 1.0))


def write(ways: dict[str, dict[str, float]], missing: float, complete: float) -> None:
    def told(weights: dict[str, float]) -> str:
        return "".join(f"        {name}={weights[name]:.3f},\n" for name in READ)

    told_ways = "\n".join(f"    {name}=Weights(\n{told(way)}    )," for name, way in ways.items())

    FITTED.write_text(
        f'''"""Weights of the end-of-turn sum; made by benchmarks/fit_turns.py. Pure."""

from agent.turns.weights import Model, Weights

FITTED = Model(
{told_ways}
    unscored=-1.0,
    digits_missing={missing:.3f},
    digits_complete={complete:.3f},
)
''',
        encoding="utf-8",
    )


USED = ("bias", "words", "length", "voice", "pause")
READ = ("bias", "words", "length", "voice", "language", "pause")


def main(caches: list[Path]) -> dict[str, object]:
    """Fit both ways of speaking."""
    pauses = [pause for cache in caches for pause in load(cache) if is_taught(pause.clip)]
    # Orders alone would teach that short questions are never over, and that Smart Turn may be
    # believed whoever speaks.
    asked = [pause for pause in pauses if pause.source in ASKED]
    dictated = [pause for pause in pauses if pause.expects]
    table = evidence(asked)
    short = fit(asked, table, USED, balanced=True)
    read = fit(asked, table, READ, balanced=True)
    table = evidence(dictated)
    # Neither words nor voice tell the last group of digits from the others: their weights came out
    # at 0.00 and -0.17.
    continuous = fit(dictated, table, ("bias", "pause"), balanced=False)
    missing, complete = digits_say(dictated, table)
    ways = {"short": short, "read": read, "continuous": continuous}
    write(ways, missing, complete)
    return {
        "asked": len(asked),
        "dictated": len(dictated),
        **ways,
        "digits": (missing, complete),
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, action="append")
    print(json.dumps(main(parser.parse_args().cache)))
