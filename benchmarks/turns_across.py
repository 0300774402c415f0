"""The end-of-turn sum, judged by cross-validation: what its terms and numbers are chosen by.

    python -m benchmarks.turns_cache --data DIR --into CACHE --only commands,queries [--window 4]
    python -m benchmarks.turns_across --cache CACHE [--cache CACHE ...]

Of the clips that may be learnt from (`benchmarks.fit_turns`), five parts by a hash of the name,
each judged with weights fitted on the other four; the clips that are kept out stay unseen. Figures
as in `benchmarks.turns`, of orders and of requests by our own voice, and how well Smart Turn's
first score alone tells ends from pauses (area under the curve). Prints one JSON line for each
CACHE.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fit_turns import ASKED, USED, fit, is_taught
from benchmarks.turns_cache import Pause, load
from benchmarks.turns_frontier import METRICS, Floats, summary
from benchmarks.turns_systems import evidence, ours, weighed

PARTS = 5


def part(clip: str) -> int:
    """Which part a clip is judged in; another hash than that which keeps clips out."""
    return hashlib.sha256(f"part of {clip}".encode()).digest()[0] % PARTS


def across(pauses: Sequence[Pause], used: Sequence[str]) -> Floats:
    """Log-odds of every pause at every hop, each by weights that it did not teach."""
    table = evidence(pauses, at_once=True)
    parts = np.array([part(pause.clip) for pause in pauses])
    odds = np.full(table.shape[:2], -np.inf)
    for number in range(PARTS):
        taught, judged = np.flatnonzero(parts != number), np.flatnonzero(parts == number)
        learnt = [pauses[row] for row in taught]
        weights = fit(learnt, table[taught], used, balanced=True)
        odds[judged] = weighed(table[judged], list(weights.values()))
    return odds


def area(pauses: Sequence[Pause]) -> float:
    """Chance that the first score of an end is above that of a pause; half a chance for equals."""
    ends, others = (
        np.array([one.voice[0][1] for one in pauses if one.voice and one.is_end is is_end])
        for is_end in (True, False)
    )
    above = np.sign(ends[:, None] - others[None])
    return float((above.mean() + 1) / 2)


def main(cache: Path) -> dict[str, Any]:
    """Judge what was learnt from one cache."""
    pauses = [one for one in load(cache) if is_taught(one.clip) and one.source in ASKED]
    found: dict[str, Any] = {"benchmark": "turns_across", "cache": cache.name}
    sources = [source for source in ASKED if any(one.source == source for one in pauses)]
    rows = {
        source: [row for row, one in enumerate(pauses) if one.source == source]
        for source in sources
    }
    for name, used in (("", USED), (" without the voice", [one for one in USED if one != "voice"])):
        odds = across(pauses, used)
        for source, chosen in rows.items():
            judged = [pauses[row] for row in chosen]
            figures = summary(ours(judged, odds[chosen]))
            found[source + name] = {
                key: round(float(figure), 4) for key, figure in zip(METRICS, figures, strict=True)
            }
    return found | {
        f"area, {source}": round(area([pauses[row] for row in chosen]), 4)
        for source, chosen in rows.items()
    }


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, action="append")
    for each in parser.parse_args().cache:
        print(json.dumps(main(each)), flush=True)
