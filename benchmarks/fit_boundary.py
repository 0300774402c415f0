"""Fit the boundary language model of `agent.turns.boundary`.

    git clone https://github.com/clinc/oos-eval
    python -m benchmarks.fit_boundary --queries oos-eval/data/data_full.json

The queries (Larson et al. 2019, CC BY 3.0) are 23 695 requests to voice assistants in 150 intents,
written by many people as they would say them. Every prefix of a query that is not the query is an
example of a text that goes on. Writes `agent/turns/boundary_table.py` and prints one JSON line with
the quality on a fifth of the queries that was kept out.
"""

import argparse
import base64
import hashlib
import json
import textwrap
from pathlib import Path

import numpy as np
import numpy.typing as npt

TABLE = Path(__file__).resolve().parents[1] / "agent" / "turns" / "boundary_table.py"
LENGTHS = 8
EMPTY = '''"""Not fitted yet. Pure."""

BIAS = STEP = WHOLE_SCORE = 0.0
LENGTHS = (0.0,)
WEIGHTS = WHOLE = bytes(8192)
'''
if not TABLE.exists():
    TABLE.write_text(EMPTY, encoding="utf-8")

from agent.turns.boundary import (  # noqa: E402 - needs some table
    BUCKETS,
    SHORT_WORDS,
    WHOLE_BITS,
    buckets,
    marks,
    tokens,
)

PENALTY = 0.03
"""Ridge, in examples per step. Three times less reads the queries that were kept out a little
better (area 0.922 for 0.914), and orders, which use other words, worse."""

LENGTH_TRUST = 0.5
"""Of what the number of words was found to say. Typed requests are longer than spoken ones."""

EPOCHS, BATCH, RATE = 12, 512, 0.3

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.int64]


def examples(queries: list[str]) -> tuple[Places, Floats]:
    """Weight places and labels of every prefix."""
    places, stops = [], []
    for query in queries:
        words = tokens(query)
        for length in range(1, len(words) + 1):
            prefix = words[:length]
            places.append((BUCKETS + min(length, LENGTHS) - 1, *buckets(prefix)))
            stops.append(length == len(words))
    return np.array(places), np.array(stops, float)


def fit(places: Places, stops: Floats) -> tuple[Floats, float]:
    """Adagrad on the logistic loss."""
    weights = np.zeros(BUCKETS + LENGTHS)
    bias = float(np.log(stops.mean() / (1 - stops.mean())))
    squares = np.full(len(weights), 1e-6)
    rng = np.random.default_rng(0)
    for _ in range(EPOCHS):
        for batch in np.array_split(rng.permutation(len(stops)), len(stops) // BATCH + 1):
            error = 1 / (1 + np.exp(-weights[places[batch]].sum(1) - bias)) - stops[batch]
            pull = np.repeat(error, places.shape[1])
            step = np.bincount(places[batch].ravel(), pull, len(weights)) + PENALTY * weights
            squares += step**2
            weights -= RATE * step / np.sqrt(squares)
    return weights, bias


def known(queries: list[str]) -> bytes:
    """The filter of short whole requests."""
    bits = bytearray(WHOLE_BITS // 8)
    for query in queries:
        words = tokens(query)
        if len(words) <= SHORT_WORDS:
            for at in marks(words):
                bits[at // 8] |= 1 << at % 8
    return bytes(bits)


def write(weights: Floats, bias: float, whole_score: float, whole: bytes) -> None:
    """Write the table: one byte a weight."""
    words, lengths = weights[:BUCKETS], weights[BUCKETS:]
    step = float(np.abs(words).max() / 127)
    packed = np.clip(np.round(words / step) + 128, 0, 255).astype(np.uint8).tobytes()
    trusted = lengths[-1] + LENGTH_TRUST * (lengths - lengths[-1])
    text = '"""Weights of the boundary language model, by benchmarks/fit_boundary.py. Pure.\n\n'
    text += "From CLINC's queries (github.com/clinc/oos-eval, Larson et al. 2019, CC BY 3.0).\n"
    text += '"""\n\nimport base64\n\n'
    text += f"BIAS = {bias:.4f}\n"
    text += f"LENGTHS = ({', '.join(f'{value:.4f}' for value in trusted)})\n"
    text += '"""Of texts of one, two, ... words; the last of all longer ones."""\n\n'
    text += f"WHOLE_SCORE = {whole_score:.4f}\n"
    text += '"""At the least, of a request known by heart: the median at the ends of all."""\n\n'
    text += f"STEP = {step:.6f}\n"
    text += '"""What one unit of a weight is worth."""\n\n'
    text += f"WEIGHTS = {_literal(packed)}"
    text += '"""Shifted by 128."""\n\n'
    text += f"WHOLE = {_literal(whole)}"
    TABLE.write_text(text, encoding="utf-8")


def _literal(packed: bytes) -> str:
    lines = textwrap.wrap(base64.b85encode(packed).decode(), 88)
    return "base64.b85decode(\n" + "".join(f'    "{line}"\n' for line in lines) + ")\n"


def area(scores: Floats, stops: Floats) -> float:
    """Under the receiver operating characteristic, by ranks."""
    ranks = np.empty(len(scores))
    ranks[np.argsort(scores)] = np.arange(len(scores))
    positive = stops > 0
    count = positive.sum()
    below = ranks[positive].sum() - count * (count - 1) / 2
    return float(below / (count * (len(stops) - count)))


def main(path: Path) -> dict[str, object]:
    """Fit on four fifths, judge on one."""
    read = json.loads(path.read_text(encoding="utf-8"))
    queries = sorted({query for rows in read.values() for query, _ in rows})
    kept_out = [hashlib.sha256(query.encode()).digest()[0] >= 205 for query in queries]
    taught = [query for query, out in zip(queries, kept_out, strict=True) if not out]
    asked = [query for query, out in zip(queries, kept_out, strict=True) if out]
    weights, bias = fit(*examples(taught))
    places, stops = examples(asked)
    scores = weights[places].sum(1) + bias
    write(weights, bias, float(np.median(scores[stops > 0])), known(taught))
    return {"queries": len(queries), "auc": round(area(scores, stops), 3)}


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--queries", type=Path, required=True)
    print(json.dumps(main(parser.parse_args().queries)))
