"""Hotwords that act where nobody asked, and those that do not where somebody did.

    python -m benchmarks.hotwords --data DIR [--minutes 60]

Other speech: the orders in DIR/commands, Debian's telephone prompts, and answers of an agent spoken
by our own voice, one behind the other until the minutes are full, or until there is no more. The
real recogniser reads each recording; its words are then given one by one, as partials
grow, over a silent and over a speaking agent. Every hit is printed with its text, for a prompt such
as "One moment, please" is one rightly. Hotwords: each phrase in the voices of
`benchmarks.overlap`. Prints one JSON line.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from agent.asr.hypothesis import Word
from agent.asr.moonshine import Moonshine
from agent.audio.chunk import SAMPLE_RATE, Int16Array, samples, to_float
from agent.models.store import locate
from agent.turns.hotwords import PHRASES, Hotword, Hotwords, HotwordSettings
from benchmarks.corpus import CorpusUnavailableError, telephone_prompts
from benchmarks.echo import ANSWERS
from benchmarks.machine import describe
from benchmarks.overlap import VOICES, spoken

WAKE_PHRASES = ("hey jarvis", "computer please", "okay duplex")
LONGEST_S = 9.0


def other_speech(folder: Path) -> Iterator[tuple[str, Int16Array]]:
    """Recordings that ask for nothing of the kind."""
    for path in sorted((folder / "commands").glob("*.flac")):
        pcm, _ = soundfile.read(path, dtype="int16")
        yield f"commands/{path.stem}", pcm
    try:
        prompts = telephone_prompts(least_words=1)
    except CorpusUnavailableError:
        prompts = []
    for prompt in prompts:
        yield f"prompts/{prompt.name}", prompt.pcm
    for number, answer in enumerate(ANSWERS):
        for part, sentence in enumerate(answer.split(". ")):
            yield f"answers/{number}.{part}", spoken("student", sentence + ".")


def found(hotwords: Hotwords, words: tuple[Word, ...], *, agent_speaking: bool) -> Hotword | None:
    """The first hit as partials grow, and half a second after the last word."""
    for count in range(1, len(words) + 1):
        known = words[:count]
        # In a partial the next word begins at once: nothing has ended.
        at = known[-1].end_sample
        if count == len(words):
            at += samples(0.5)
        hit = hotwords.find(known, at, agent_speaking=agent_speaking)
        if hit:
            return hit
    return None


def main(folder: Path, minutes: float) -> dict[str, Any]:
    moonshine = Moonshine(locate("moonshine-base-en"))
    hotwords = Hotwords(HotwordSettings(wake_phrases=WAKE_PHRASES))
    heard_s = speech_s = 0.0
    false: dict[str, list[str]] = {"agent silent": [], "agent speaking": []}
    recordings = 0
    for name, pcm in other_speech(folder):
        if heard_s >= 60 * minutes:
            break
        recordings += 1
        heard_s += len(pcm) / SAMPLE_RATE
        words = moonshine.transcribe(to_float(pcm[: samples(LONGEST_S)])).words
        if words:
            speech_s += (words[-1].end_sample - words[0].start_sample) / SAMPLE_RATE
        for mode, hits in false.items():
            hit = found(hotwords, words, agent_speaking=mode == "agent speaking")
            if hit:
                text = " ".join(word.text for word in words)
                hits.append(f"{hit.action.value}: {text} ({name})")
    return {
        "benchmark": "hotwords",
        "machine": describe(),
        "recordings": recordings,
        "minutes": round(heard_s / 60, 1),
        "minutes_first_to_last_word": round(speech_s / 60, 1),
        "hits": false,
        "recall": recall(moonshine, hotwords),
    }


def recall(moonshine: Moonshine, hotwords: Hotwords) -> dict[str, Any]:
    """Share of spoken phrases that act, alone, over a silent agent."""
    phrases = [phrase for listed in PHRASES.values() for phrase in listed[:3]]
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


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, default=Path("../shared/data"))
    parser.add_argument("--minutes", type=float, default=60.0)
    parser.add_argument("--json", action="store_true", help="the only form there is")
    given = parser.parse_args()
    print(json.dumps(main(given.data, given.minutes)))
