"""Hotwords that act where nobody asked, and those that do not where somebody did.

    python -m benchmarks.turns_cache --data DIR --into FILE
    python -m benchmarks.hotwords --data DIR --pauses FILE [--recall]

Other speech, over an hour of it: what the real recogniser heard for `benchmarks.turns`, orders,
requests, numbers and spelling up to each of their pauses; telephone prompts; and the calls of
`DIR/echo`, two people at once among them. The words are given to the matcher one by one, as
partials grow, over a silent and over a speaking agent. Every hit is printed with its text, for a
prompt such as "One moment, please" is one rightly. Recall: listed phrases in voices of
`benchmarks.overlap_clips`, read by the recogniser. Prints one JSON line.
"""

import argparse
import contextlib
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from agent.asr.hypothesis import Word
from agent.asr.moonshine import Moonshine
from agent.audio.chunk import Int16Array, samples, seconds, to_float
from agent.models.store import locate
from agent.turns.hotwords import PHRASES, Hotword, Hotwords, HotwordSettings
from benchmarks.corpus import CorpusUnavailableError, telephone_prompts
from benchmarks.machine import describe
from benchmarks.overlap_clips import VOICES
from benchmarks.turns_cache import PRE_ROLL, Ears, load
from benchmarks.turns_systems import timed
from benchmarks.voices import spoken

PAUSE = samples(0.8)
LONGEST = samples(12.0)

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


@dataclass(frozen=True, slots=True)
class Heard:
    """What the recogniser made of one stretch of speech.

    Attributes:
        clip: Source and name of the recording.
        words: With times.
        spoken_s: How much speech it is.
    """

    clip: str
    words: tuple[Word, ...]
    spoken_s: float


def in_pauses(path: Path) -> Iterator[Heard]:
    """What was heard up to each pause of a cache."""
    for pause in load(path):
        yield Heard(f"{pause.source}/{pause.clip}", timed(pause), pause.spoken_s)


def in_calls(data: Path) -> Iterator[Heard]:
    """Telephone prompts, and the recordings of `data/echo`, stretch by stretch of speech."""
    ears = Ears()
    for name, pcm in _recordings(data):
        spoken = [(segment.start, segment.end) for segment in ears.segments(pcm)]
        for number, (start, end) in enumerate(_stretches(spoken)):
            words = ears.moonshine.transcribe(to_float(pcm[max(0, start - PRE_ROLL) : end])).words
            yield Heard(f"{name}/{number}", words, seconds(end - start))


def _recordings(data: Path) -> Iterator[tuple[str, Int16Array]]:
    for path in sorted((data / "echo").glob("**/*.flac")):
        pcm, _ = soundfile.read(path, dtype="int16")
        yield f"calls/{path.stem}", pcm
    with contextlib.suppress(CorpusUnavailableError):
        for prompt in telephone_prompts(least_words=1):
            silence = np.zeros(samples(0.5), np.int16)
            yield f"prompts/{prompt.name}", np.concatenate([prompt.pcm, silence])


def _stretches(segments: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    """Segments joined over pauses that end no turn, up to what a recogniser reads at once."""
    joined: list[tuple[int, int]] = []
    for start, end in segments:
        if joined and start - joined[-1][1] < PAUSE and end - joined[-1][0] < LONGEST:
            joined[-1] = (joined[-1][0], end)
        else:
            joined.append((start, end))
    return joined


def false_hits(heard: Iterable[Heard], hotwords: Hotwords) -> dict[str, Any]:
    """Everything that acted in speech that asks for nothing of the kind."""
    hits: dict[str, dict[str, str]] = {"agent silent": {}, "agent speaking": {}}
    spoken_s: dict[str, float] = {}
    for one in heard:
        spoken_s[one.clip] = max(spoken_s.get(one.clip, 0.0), one.spoken_s)
        for mode, found_in in hits.items():
            hit = found(hotwords, one.words, agent_speaking=mode == "agent speaking")
            if hit:
                text = " ".join(word.text for word in one.words)
                found_in.setdefault(f"{hit.action.value}: {text}", one.clip)
    minutes: dict[str, float] = defaultdict(float)
    for clip, lasted_s in spoken_s.items():
        minutes[clip.split("/")[0]] += lasted_s / 60
    return {
        "minutes_of_speech": round(sum(minutes.values()), 1),
        "of_which": {source: round(value, 1) for source, value in minutes.items()},
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
            pcm = np.concatenate([silence, spoken(voice, phrase.capitalize() + ".").pcm, silence])
            words = moonshine.transcribe(to_float(pcm)).words
            count += 1
            if found(hotwords, words, agent_speaking=False) is None:
                missed.append(f"{phrase}: {' '.join(word.text for word in words)}")
    return {"phrases": count, "share": round(1 - len(missed) / count, 4), "missed": missed}


def main(data: Path | None, pauses: list[Path], *, with_recall: bool) -> dict[str, Any]:
    """Listen to other speech, then to what was meant."""
    hotwords = Hotwords(HotwordSettings(wake_phrases=WAKE_PHRASES))
    other = chain(*map(in_pauses, pauses), in_calls(data) if data else ())
    report = {
        "benchmark": "hotwords",
        "machine": describe(),
        "other_speech": false_hits(other, hotwords),
    }
    if with_recall:
        report["recall"] = recall(hotwords)
    return report


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with echo/")
    parser.add_argument("--pauses", type=Path, action="append", default=[])
    parser.add_argument("--recall", action="store_true", help="also speak every action's phrases")
    parser.add_argument("--json", action="store_true", help="the only form there is")
    given = parser.parse_args()
    print(json.dumps(main(given.data, given.pauses, with_recall=given.recall)))
