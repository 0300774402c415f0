"""Hotwords that act where nobody asked, and those that do not where somebody did.

    python -m benchmarks.turns_cache --data DIR --into FILE
    python -m benchmarks.hotwords --pauses FILE [--recall]

Other speech: everything the real recogniser heard for `benchmarks.turns`: spoken orders, telephone
prompts, dictation, up to each of their pauses. The words are given to the matcher one by one, as
partials grow, over a silent and over a speaking agent. Every hit is printed with its text, for a
prompt such as "One moment, please" is one rightly. Recall: listed phrases in voices of
`benchmarks.overlap`, read by the recogniser. Prints one JSON line.
"""

import argparse
import json
from pathlib import Path
from typing import Any

import numpy as np

from agent.asr.hypothesis import Word
from agent.asr.moonshine import Moonshine
from agent.audio.chunk import samples, to_float
from agent.models.store import locate
from agent.turns.hotwords import PHRASES, Hotword, Hotwords, HotwordSettings
from benchmarks.machine import describe
from benchmarks.overlap_clips import VOICES, spoken

WAKE_PHRASES = ("hey jarvis", "okay computer", "hello duplex")


def found(hotwords: Hotwords, words: tuple[Word, ...], *, agent_speaking: bool) -> Hotword | None:
    """The first hit as partials grow, and half a second after the last word."""
    for count in range(1, len(words) + 1):
        known = words[:count]
        # In a partial the next word begins at once: nothing has ended.
        at = known[-1].end_sample + (samples(0.5) if count == len(words) else 0)
        hit = hotwords.find(known, at, agent_speaking=agent_speaking)
        if hit:
            return hit
    return None


def false_hits(path: Path, hotwords: Hotwords) -> dict[str, Any]:
    """Everything that acted in speech that asks for nothing of the kind."""
    hits: dict[str, dict[str, str]] = {"agent silent": {}, "agent speaking": {}}
    spoken_s: dict[str, float] = {}
    for line in path.read_text(encoding="utf-8").splitlines():
        pause = json.loads(line)
        if "done" in pause:
            continue
        words = tuple(
            # Times count back from the silence; an hour keeps them positive.
            Word(text, samples(3600 + start_s), samples(3600 + end_s), confidence)
            for text, start_s, end_s, confidence in pause["words"]
        )
        clip = f"{pause['source']}/{pause['clip']}"
        spoken_s[clip] = max(spoken_s.get(clip, 0.0), pause["spoken_s"])
        for mode, found_in in hits.items():
            hit = found(hotwords, words, agent_speaking=mode == "agent speaking")
            if hit:
                found_in.setdefault(f"{hit.action.value}: {pause['text']}", clip)
    return {
        "clips": len(spoken_s),
        "minutes_of_speech": round(sum(spoken_s.values()) / 60, 1),
        "hits": hits,
    }


def recall(hotwords: Hotwords) -> dict[str, Any]:
    """Share of spoken phrases that act, alone, over a silent agent."""
    moonshine = Moonshine(locate("moonshine-base-en"))
    phrases = [*WAKE_PHRASES, *(phrase for listed in PHRASES.values() for phrase in listed[:3])]
    missed, count = [], 0
    silence = np.zeros(samples(0.4), np.int16)
    for voice in VOICES[:2]:
        for phrase in phrases:
            pcm = np.concatenate([silence, spoken(voice, phrase.capitalize() + "."), silence])
            words = moonshine.transcribe(to_float(pcm)).words
            count += 1
            if found(hotwords, words, agent_speaking=False) is None:
                missed.append(f"{phrase}: {' '.join(word.text for word in words)}")
    return {"phrases": count, "share": round(1 - len(missed) / count, 4), "missed": missed}


def main(pauses: Path, *, with_recall: bool) -> dict[str, Any]:
    hotwords = Hotwords(HotwordSettings(wake_phrases=WAKE_PHRASES))
    report = {
        "benchmark": "hotwords",
        "machine": describe(),
        "other_speech": false_hits(pauses, hotwords),
    }
    if with_recall:
        report["recall"] = recall(hotwords)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pauses", type=Path, required=True)
    parser.add_argument("--recall", action="store_true", help="also speak every action's phrases")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    given = parser.parse_args()
    print(json.dumps(main(given.pauses, with_recall=given.recall)))
