"""Names to expect: errors on 50 rare names with and without hints, and what the hints cost others.

The names are spoken by the student voice, each in a sentence; all 50 are hints. The others are
recordings without any of the names. Prints one line of JSON:

    python -m benchmarks.hints --every 3 [--model moonshine-base-en]
"""

import argparse
import json
import re
import unicodedata
from collections.abc import Sequence
from typing import Any

import jiwer
import numpy as np
import soxr
from hibari import Hibari

from agent.asr.biased import BiasedMoonshine
from agent.asr.moonshine import Moonshine, Transcript
from agent.audio.chunk import SAMPLE_RATE, Float32Array, Int16Array, to_float, to_int16
from agent.models.store import locate
from benchmarks.corpus import Recording, load, normalise
from benchmarks.machine import describe

NAMES = (
    "Siobhan Okonkwo Zanzibar Xarelto Adalimumab Pembrolizumab Zolpidem Rituximab Huawei Xiaomi "
    "Zapier Schwarzkopf Citroen Dvorak Reykjavik Timisoara Dubrovnik Ljubljana Mostar Saramago "
    "Curitiba Tenochtitlan Oaxaca Ouagadougou Antananarivo Nouakchott Bujumbura Lilongwe Gaborone "
    "Ndlovu Chimamanda Babatunde Nkrumah Kwabena Thabo Visakhapatnam Vijayawada Srinivasan "
    "Chandrasekhar Ramanujan Zhengzhou Yerevan Ashgabat Dushanbe Bishkek Levetiracetam "
    "Atorvastatin Klaipeda Machynlleth Tskhinvali"
).split()

SENTENCES = (
    "I would like to speak to {} please.",
    "Can you tell me more about {}?",
    "We talked about {} last week.",
    "Is {} available on Thursday?",
    "My question is about {} and the price.",
)

MOST_S = 15.0
"""Longer recordings are left out: the model reads them in pieces."""


def spoken(voice: Hibari, text: str) -> Int16Array:
    """`text` in the student voice, 16 kHz."""
    signal = np.asarray(voice(text, seed=1), np.float32)
    return to_int16(soxr.resample(signal, 24_000, SAMPLE_RATE))


class Known:
    """`Moonshine`, that has read a clip already."""

    def __init__(self, model: Moonshine, transcript: Transcript) -> None:
        self._transcript = transcript
        self.log_likelihoods = model.log_likelihoods
        self.tokens_of = model.tokens_of

    def transcribe(
        self, _signal: Float32Array, _draft: Sequence[int] = (), _forced: int = 0
    ) -> Transcript:
        """Give what was read."""
        return self._transcript


def both(model: Moonshine, clips: Sequence[Int16Array]) -> tuple[list[str], list[str]]:
    """Text of each clip without and with hints."""
    plain, told = [], []
    for pcm in clips:
        signal = to_float(pcm)
        read = model.transcribe(signal)
        plain.append(read.text)
        told.append(BiasedMoonshine(Known(model, read), NAMES).transcribe(signal).text)
    return plain, told


def missed(texts: Sequence[str]) -> list[str]:
    """Names that are not in their texts."""
    return [name for name, text in zip(NAMES, texts, strict=True) if _key(name) not in _key(text)]


def word_errors(texts: Sequence[str], recordings: Sequence[Recording]) -> float:
    """Percent of the words of recordings in which no name occurs."""
    references = [normalise(recording.text) for recording in recordings]
    return round(100 * jiwer.wer(references, [normalise(text) for text in texts]), 2)


def _key(text: str) -> str:
    return re.sub(r"[^a-z]", "", unicodedata.normalize("NFKD", text.casefold()))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--every", type=int, default=1, help="take every n-th recording")
    parser.add_argument("--model", default="moonshine-base-en")
    given = parser.parse_args()
    model = Moonshine(locate(given.model))
    voice = Hibari()
    clips = [
        spoken(voice, SENTENCES[i % len(SENTENCES)].format(name)) for i, name in enumerate(NAMES)
    ]
    source, recordings = load()
    short = [r for r in recordings[:: given.every] if len(r.pcm) <= MOST_S * SAMPLE_RATE]
    plain, told = both(model, clips)
    others_plain, others_told = both(model, [recording.pcm for recording in short])
    without, still = missed(plain), missed(told)
    record: dict[str, Any] = {
        "benchmark": "hints",
        "machine": describe(),
        "model": given.model,
        "names": len(NAMES),
        "missed_without": len(without),
        "missed_with": len(still),
        "fewer_percent": round(100 * (1 - len(still) / max(1, len(without)))),
        "still_missed": still,
        "others": {"source": source, "n": len(short)},
        "others_wer_percent_without": word_errors(others_plain, short),
        "others_wer_percent_with": word_errors(others_told, short),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
