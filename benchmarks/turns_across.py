"""The end-of-turn sum, judged by cross-validation: what its terms and numbers are chosen by.

    python -m benchmarks.turns_cache --data DIR --into CACHE --only commands,queries [--window S]
    python -m benchmarks.turns_wording --cache CACHE
    python -m benchmarks.turns_across --cache CACHE [--cache CACHE ...]

Of the clips that may be learnt from (`benchmarks.fit_turns`), five parts by a hash of the name,
each judged with weights fitted on the other four; the clips that are kept out stay unseen. Figures
as in `benchmarks.turns`, without the time models take, of orders and of requests by our own voice,
with and without the embedded model's chance; and how well Smart Turn's first score alone tells
ends from pauses (area under the curve). Prints one JSON line for each CACHE.
"""

import argparse
import hashlib
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.fit_turns import ASKED, READ, USED, fit, is_taught
from benchmarks.turns_cache import Pause, load
from benchmarks.turns_frontier import METRICS, Floats, summary
from benchmarks.turns_systems import TERMS, evidence, ours, weighed

PARTS = 5


def part(clip: str) -> int:
    """Which part a clip is judged in; another hash than that which keeps clips out."""
    return hashlib.sha256(f"part {clip}".encode()).digest()[0] % PARTS


def across(pauses: Sequence[Pause], used: Sequence[str]) -> Floats:
    """Log-odds of every pause at every hop, each by weights that it did not teach."""
    learnt, told = evidence(pauses), evidence(pauses, at_once=True)
    parts = np.array([part(pause.clip) for pause in pauses])
    odds = np.full(told.shape[:2], -np.inf)
    for number in range(PARTS):
        others, judged = np.flatnonzero(parts != number), np.flatnonzero(parts == number)
        found = fit([pauses[int(row)] for row in others], learnt[others], used, balanced=True)
        weights = [found[name] for name in TERMS]
        odds[judged] = weighed(told[judged], weights, weights if "language" in used else None)
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
    rows = {
        source: chosen
        for source in ASKED
        if (chosen := [row for row, one in enumerate(pauses) if one.source == source])
    }
    found: dict[str, Any] = {
        "benchmark": "turns_across",
        "cache": cache.name,
        "area": {
            source: round(area([pauses[row] for row in chosen]), 4)
            for source, chosen in rows.items()
        },
    }
    ways = {
        "without the language model": USED,
        "with it": READ,
        "with it in the place of words": [name for name in READ if name != "words"],
        "with it in the place of the voice": [name for name in READ if name != "voice"],
    }
    if any(one.wording is None for one in pauses):
        ways = {"without the language model": USED}
    for name, used in ways.items():
        odds = across(pauses, used)
        found[name] = {
            source: _figures([pauses[row] for row in chosen], odds[chosen])
            for source, chosen in rows.items()
        }
    return found


def _figures(pauses: Sequence[Pause], odds: Floats) -> dict[str, float]:
    figures = zip(METRICS, summary(ours(pauses, odds)), strict=True)
    return {name: round(float(figure), 4) for name, figure in figures}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--cache", type=Path, required=True, action="append")
    for each in parser.parse_args().cache:
        print(json.dumps(main(each)), flush=True)
