"""Names to expect: errors on 50 rare names with and without hints, and what the hints cost others.

Names are spoken by the student voice, each in a sentence; all 50 of a list are hints. The margin of
`agent/asr/biased.py` was chosen on one list; the other one judges it. The others are recordings
without any of the names. Prints one line of JSON:

    python -m benchmarks.hints --every 3 [--model moonshine-base-en]
"""

import argparse
import json
import re
import unicodedata
from collections.abc import Callable, Sequence
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

CHOSEN_ON = (
    "Siobhan Okonkwo Zanzibar Xarelto Adalimumab Pembrolizumab Zolpidem Rituximab Huawei Xiaomi "
    "Zapier Schwarzkopf Citroen Dvorak Reykjavik Timisoara Dubrovnik Ljubljana Mostar Saramago "
    "Curitiba Tenochtitlan Oaxaca Ouagadougou Antananarivo Nouakchott Bujumbura Lilongwe Gaborone "
    "Ndlovu Chimamanda Babatunde Nkrumah Kwabena Thabo Visakhapatnam Vijayawada Srinivasan "
    "Chandrasekhar Ramanujan Zhengzhou Yerevan Ashgabat Dushanbe Bishkek Levetiracetam "
    "Atorvastatin Klaipeda Machynlleth Tskhinvali"
).split()

JUDGED_ON = (
    "Saoirse Adeyemi Oluwaseun Nnamdi Wanjiku Tshabalala Venkataraman Bhattacharya Mukhopadhyay "
    "Kowalczyk Szymborska Papadopoulos Yilmaz Hakimi Gudmundsson Ingeborg Quetzalli Itzel Nakamura "
    "Takahashi Semaglutide Apixaban Clopidogrel Metoprolol Escitalopram Infliximab Tocilizumab "
    "Omeprazole Rivaroxaban Lamotrigine Hyundai Husqvarna Givenchy Balenciaga Peugeot Miele Stihl "
    "Szeged Wroclaw Plovdiv Kutaisi Samarkand Tegucigalpa Cochabamba Mogadishu Kinshasa Llandudno "
    "Aberystwyth Hyderabad Thessaloniki"
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


def read(
    model: Moonshine, clips: Sequence[Int16Array]
) -> tuple[list[str], Callable[[list[str]], list[str]]]:
    """Text of each clip, and a function that gives the texts with `names` as hints."""
    signals = [to_float(pcm) for pcm in clips]
    plain = [model.transcribe(signal) for signal in signals]

    def with_hints(names: list[str]) -> list[str]:
        return [
            BiasedMoonshine(Known(model, transcript), names).transcribe(signal).text
            for signal, transcript in zip(signals, plain, strict=True)
        ]

    return [transcript.text for transcript in plain], with_hints


def missed(names: Sequence[str], texts: Sequence[str]) -> list[str]:
    """Names that are not in their texts."""
    return [name for name, text in zip(names, texts, strict=True) if _key(name) not in _key(text)]


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
    source, recordings = load()
    short = [r for r in recordings[:: given.every] if len(r.pcm) <= MOST_S * SAMPLE_RATE]
    others, others_told = read(model, [recording.pcm for recording in short])
    lists = {}
    for title, names in (("chosen_on", CHOSEN_ON), ("judged_on", JUDGED_ON)):
        sentences = [SENTENCES[i % len(SENTENCES)].format(name) for i, name in enumerate(names)]
        plain, told = read(model, [spoken(voice, sentence) for sentence in sentences])
        without, still = missed(names, plain), missed(names, told(names))
        lists[title] = {
            "names": len(names),
            "missed_without": len(without),
            "missed_with": len(still),
            "fewer_percent": round(100 * (1 - len(still) / max(1, len(without)))),
            "still_missed": still,
            "others_wer_percent": word_errors(others_told(names), short),
        }
    record: dict[str, Any] = {
        "benchmark": "hints",
        "machine": describe(),
        "model": given.model,
        **lists,
        "others": {"source": source, "n": len(short)},
        "others_wer_percent_without": word_errors(others, short),
    }
    print(json.dumps(record))


if __name__ == "__main__":
    main()
