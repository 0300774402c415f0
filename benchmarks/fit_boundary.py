"""Fit the boundary language model of `agent.turns.boundary`.

    python -m benchmarks.fit_boundary --texts DIR

DIR holds the repositories of `benchmarks.boundary_data`: 75 000 texts in a dozen domains, nearly
all written, some spoken. Each is an example of an end, and its beginnings together are one example
of a pause, so that a score is the log-odds with one pause a turn. Writes
`agent/turns/boundary_table.py` and prints one JSON line: quality on a fifth of the texts that was
kept out, and on each source when it was not learnt from at all.
"""

import argparse
import base64
import json
import textwrap
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

TABLE = Path(__file__).resolve().parents[1] / "agent" / "turns" / "boundary_table.py"
if not TABLE.exists():
    TABLE.write_text(
        '"""Not fitted yet. Pure."""\n\nBIAS = STEP = 0.0\nWEIGHTS = bytes(32768)\n',
        encoding="utf-8",
    )

from agent.turns.boundary import BUCKETS, buckets, tokens  # noqa: E402 - needs some table
from benchmarks.boundary_data import Said, is_kept_out, said  # noqa: E402

PENALTY = 0.03
"""Ridge, in examples per step. Ten times less reads sources that were not learnt from worse."""

EPOCHS, BATCH, RATE = 4, 2048, 0.3

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def examples(texts: Iterable[Said]) -> tuple[Places, Floats, Floats]:
    """Places of the weights, labels and counts of all beginnings."""
    places, stops, counts = [], [], []
    for one in texts:
        words = tokens(one.text)
        for length in range(1, len(words) + 1):
            places.append(buckets(words[:length], is_answer=one.is_answer))
            stops.append(length == len(words))
            counts.append(1.0 if length == len(words) else 1 / (len(words) - 1))
    return np.array(places), np.array(stops, float), np.array(counts)


def fit(places: Places, stops: Floats, counts: Floats) -> Floats:
    """Adagrad on the logistic loss."""
    weights = np.zeros(BUCKETS)
    squares = np.full(BUCKETS, 1e-6)
    rng = np.random.default_rng(0)
    for _ in range(EPOCHS):
        for batch in np.array_split(rng.permutation(len(stops)), len(stops) // BATCH + 1):
            chance = 1 / (1 + np.exp(-weights[places[batch]].sum(1)))
            pull = np.repeat(counts[batch] * (chance - stops[batch]), places.shape[1])
            touched, which = np.unique(places[batch].ravel(), return_inverse=True)
            step = np.bincount(which, pull) + PENALTY * weights[touched]
            squares[touched] += step**2
            weights[touched] -= RATE * step / np.sqrt(squares[touched])
    return weights


def write(weights: Floats) -> None:
    """Write the table: one byte a weight."""
    # The largest are those of common words, which "for" and "the" are: hardly ever the last ones.
    step = float(np.abs(weights).max()) / 127
    packed = (np.round(weights / step) + 128).astype(np.uint8).tobytes()
    text = '"""Weights of the boundary language model, by benchmarks/fit_boundary.py. Pure.\n\n'
    text += "From what people say to machines; sources and licences: benchmarks/boundary_data.py.\n"
    text += '"""\n\nimport base64\n\nBIAS = 0.0\n\n'
    text += f"STEP = {step:.6f}\n"
    text += '"""What one unit of a weight is worth."""\n\n'
    lines = textwrap.wrap(base64.b85encode(packed).decode(), 88)
    text += "WEIGHTS = base64.b85decode(\n" + "".join(f'    "{line}"\n' for line in lines) + ")\n"
    text += '"""Shifted by 128."""\n'
    TABLE.write_text(text, encoding="utf-8")


def area(scores: Floats, stops: Floats, counts: Floats) -> float:
    """Under the receiver operating characteristic."""
    order = np.argsort(scores, kind="stable")
    ends, pauses = (counts * stops)[order], (counts * (1 - stops))[order]
    return float((ends * np.cumsum(pauses)).sum() / (ends.sum() * pauses.sum()))


def main(folder: Path, *, across: bool) -> dict[str, object]:
    """Fit on four fifths, judge on one; with `across`, also on every source by the others."""
    texts = said(folder)
    taught = [one for one in texts if not is_kept_out(one.text)]
    weights = fit(*examples(taught))
    write(weights)
    places, stops, counts = examples(one for one in texts if is_kept_out(one.text))
    report: dict[str, object] = {
        "benchmark": "boundary",
        "texts": len(texts),
        "auc": round(area(weights[places].sum(1), stops, counts), 3),
    }
    if across:
        report["auc_of_unseen_source"] = {
            source: _unseen(texts, source) for source in sorted({one.source for one in texts})
        }
    return report


def _unseen(texts: list[Said], source: str) -> float:
    weights = fit(*examples(one for one in texts if one.source != source))
    places, stops, counts = examples(one for one in texts if one.source == source)
    return round(area(weights[places].sum(1), stops, counts), 3)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--texts", type=Path, required=True)
    parser.add_argument("--across", action="store_true", help="also how it reads unseen sources")
    options = parser.parse_args()
    print(json.dumps(main(options.texts, across=options.across)))
