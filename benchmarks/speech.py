"""First-audio time and real-time factor of both tiers of the voice, for answers of 1 to 200 words.

An answer goes through the clause splitter word by word, as from a language model that takes no
time. First audio holds clause splitting, phonemes and synthesis, nothing else; its processor time
is given too, which other work on the machine disturbs less. One line of JSON. Run from the
project's root, on a quiet machine:

    python -m benchmarks.speech --runs 7
"""

import argparse
import json
import threading
import time
from collections.abc import Callable, Iterator
from statistics import median
from typing import Any

from agent.models import store
from agent.tts.clauses import ClauseSplitter
from agent.tts.speech import Speech, Voice
from agent.tts.tier import open_voice
from benchmarks.machine import describe

SENTENCES = (
    "I can help you with that booking, so let us look at the calendar together.",
    "There is a free table by the window on Friday evening, and another one on Saturday.",
    "Would you rather sit inside, where it is quiet, or out on the terrace by the river?",
    "If the weather turns, we can always move you to a table under the roof.",
    "Please tell me how many people are coming, and whether anybody needs a high chair.",
)
SHORT = {1: "Sure.", 5: "I can help with that."}
MODELS = {"student": "kokoro-student", "full": "kokoro-82m"}


def answer(words: int) -> str:
    """An answer of that many words."""
    if words in SHORT:
        return SHORT[words]
    text = " ".join(SENTENCES).split()
    return " ".join((text * (words // len(text) + 1))[:words])


def speak(voice: Voice, text: str) -> Iterator[Speech]:
    """Speak an answer clause by clause."""
    splitter = ClauseSplitter()
    for word in text.split():
        for clause in splitter.push(f"{word} "):
            yield from voice.speak(clause)
    for clause in splitter.finish():
        yield from voice.speak(clause)


def measure(voice: Voice, words: int, runs: int) -> dict[str, Any]:
    """Times of one length of answer."""
    text = answer(words)
    firsts, first_cpus, factors, gaps, speech_s = [], [], [], [], 0.0
    for _ in range(runs):
        began, cpu_began = time.perf_counter(), time.process_time()
        first_s, speech_s, late_s = 0.0, 0.0, 0.0
        for speech in speak(voice, text):
            elapsed_s = time.perf_counter() - began
            if first_s:
                # What was heard until now ended before this was ready: the caller hears a gap.
                late_s = max(late_s, elapsed_s - first_s - speech_s)
            else:
                first_s = elapsed_s
                first_cpus.append(time.process_time() - cpu_began)
            speech_s += len(speech.pcm) / speech.sample_rate
        firsts.append(first_s)
        factors.append((time.perf_counter() - began) / speech_s)
        gaps.append(late_s)
    return {
        "words": words,
        "speech_s": round(speech_s, 2),
        "first_audio_ms": round(1000 * median(firsts), 1),
        "first_audio_cpu_ms": round(1000 * median(first_cpus), 1),
        "real_time_factor": round(median(factors), 4),
        "worst_gap_ms": round(1000 * median(gaps)),
    }


def timed(load: Callable[[], Voice]) -> tuple[Voice, float]:
    """Load a voice; seconds it took."""
    began = time.perf_counter()
    voice = load()
    return voice, time.perf_counter() - began


def tier_report(tier: str, lengths: list[int], runs: int) -> dict[str, Any]:
    """Everything about one tier."""
    if not store.is_present(MODELS[tier]):
        return {"tier": tier, "skipped": f"{MODELS[tier]} is not on this machine"}
    voice, load_s = timed(lambda: open_voice(tier))
    began = time.perf_counter()
    list(voice.speak("Warm up."))
    first_call_s = time.perf_counter() - began
    results = [measure(voice, words, runs) for words in lengths]
    firsts = [result["first_audio_cpu_ms"] for result in results]
    return {
        "tier": tier,
        "voice": voice.name,
        "load_s": round(load_s, 2),
        "first_call_s": round(first_call_s, 3),
        "first_audio_cpu_spread": round(max(firsts) / min(firsts) - 1, 3),
        "answers": results,
    }


def fft_backend() -> str:
    """Which library the student's signal processing found."""
    from hibari import dsp

    return str(dsp.FFT_BACKEND)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--words", type=int, nargs="+", default=[1, 5, 20, 200])
    parser.add_argument("--tiers", nargs="+", default=list(MODELS), choices=list(MODELS))
    given = parser.parse_args()
    report = {
        "benchmark": "speech",
        "machine": describe(),
        "fft": fft_backend(),
        "tiers": [tier_report(tier, given.words, given.runs) for tier in given.tiers],
        "python_threads": threading.active_count(),
    }
    print(json.dumps(report))


if __name__ == "__main__":
    main()
