"""Texts as people say them to machines, for `benchmarks.fit_boundary`.

Four repositories, cloned side by side into one folder:

    git clone https://github.com/clinc/oos-eval                      CC BY 3.0, Larson et al. 2019
    git clone https://github.com/PolyAI-LDN/task-specific-datasets   CC BY 4.0
    git clone https://github.com/xliuhw/NLU-Evaluation-Data          CC BY 4.0, Liu et al. 2019
    git clone https://github.com/sonos/nlu-benchmark                 CC0, Coucke et al. 2018

Requests to assistants, banks, hotels, restaurants and homes; answers only among what guests told a
restaurant's line, which says what it had asked for.
"""

import csv
import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, order=True)
class Said:
    """One whole turn.

    Attributes:
        source: Where it is from: a name in `SOURCES`.
        text: As it was written down.
        is_answer: Whether something had been asked for.
    """

    source: str
    text: str
    is_answer: bool = False


def said(folder: Path) -> list[Said]:
    """All of them, sorted, each once."""
    return sorted({one for read in SOURCES for one in read(folder)})


def is_kept_out(text: str) -> bool:
    """Whether a text is judged on, and not learnt from: one in five, by its words."""
    plain = " ".join(text.lower().split()).rstrip(".?!")
    return hashlib.sha256(plain.encode()).digest()[0] >= 205


def _clinc(folder: Path) -> Iterator[Said]:
    rows = json.loads((folder / "oos-eval/data/data_full.json").read_text(encoding="utf-8"))
    for part in rows.values():
        yield from (Said("clinc", text) for text, _ in part)


def _banking(folder: Path) -> Iterator[Said]:
    for part in ("train", "test"):
        path = folder / f"task-specific-datasets/banking_data/{part}.csv"
        with path.open(encoding="utf-8", newline="") as file:
            yield from (Said("banking", row["text"]) for row in csv.DictReader(file))


def _restaurant(folder: Path) -> Iterator[Said]:
    for part in ("train_0", "test"):
        path = folder / f"task-specific-datasets/span_extraction/restaurant8k/{part}.json"
        for row in json.loads(path.read_text(encoding="utf-8")):
            asked = bool(row.get("context", {}).get("requestedSlots"))
            yield Said("restaurant", row["userInput"]["text"], asked)


def _nlupp(folder: Path) -> Iterator[Said]:
    for path in sorted((folder / "task-specific-datasets/nlupp/data").glob("*/fold*.json")):
        for row in json.loads(path.read_text(encoding="utf-8")):
            yield Said("nlupp", row["text"])


def _home(folder: Path) -> Iterator[Said]:
    # One fold holds all of them, in its two parts.
    for path in sorted(folder.glob("NLU-Evaluation-Data/CrossValidation/**/KFold_1/*/*.csv")):
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter=";"):
                if row.get("answer_from_anno"):
                    yield Said("home", row["answer_from_anno"])


def _snips(folder: Path) -> Iterator[Said]:
    root = folder / "nlu-benchmark/2017-06-custom-intent-engines"
    for path in sorted(root.glob("*/train_*_full.json")):
        # Some names in it are Latin-1, though the file is not meant to be.
        for rows in json.loads(path.read_bytes().decode("utf-8", "replace")).values():
            for row in rows:
                yield Said("snips", "".join(part["text"] for part in row["data"]))


SOURCES = (_clinc, _banking, _restaurant, _nlupp, _home, _snips)
