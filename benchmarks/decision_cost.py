"""What a decision costs: computing time of one core, however busy the machine is.

    python -m benchmarks.decision_cost

A decision is what one hop of a silence (32 ms) brings: a new text is read, the evidence is summed,
whether another score of the voice could change anything is worked out, and at up to four hops of a
silence that score is made, features and all. Recognition is not part of it. Most decisions ask for
no score; `decision_with_score_ms` is one that does. Processor time of the thread, in milliseconds.
Prints one JSON line.
"""

import itertools
import json
import time
from collections.abc import Callable
from typing import Any

import numpy as np

from agent.asr.hypothesis import Hypothesis, Word
from agent.audio.chunk import samples
from agent.models.store import locate
from agent.turns.ending import PROSODY_EVERY_S, PROSODY_UNTIL_S, Context, EndOfTurn
from agent.turns.smart_turn import WINDOW_S, SmartTurn
from benchmarks.machine import describe

TEXT = "Could you tell me whether the last train to the airport leaves before half past eleven?"
HOPS = 2000
SCORES = 200


def main() -> dict[str, Any]:
    """Measure."""
    smart_turn = SmartTurn(locate("smart-turn-v3.2") / "smart-turn-v3.2-cpu.onnx")
    size = samples(WINDOW_S)
    noise = np.random.default_rng(0).normal(0.0, 1000.0, size).astype(np.int16)
    judge = _judging()

    def score() -> None:
        smart_turn.score(noise)

    def decide() -> None:
        score()
        judge()

    decide()
    return {
        "benchmark": "decision_cost",
        "decision_ms": _summary(_timed(judge, HOPS)),
        "decision_with_score_ms": _summary(_timed(decide, SCORES)),
        "score_ms": _summary(_timed(score, SCORES)),
        "score_hears_s": WINDOW_S,
        "scores_in_a_silence_at_most": int(PROSODY_UNTIL_S / PROSODY_EVERY_S) + 1,
        "machine": describe(),
    }


def _judging() -> Callable[[], None]:
    words = tuple(
        Word(text, samples(index * 0.3), samples(index * 0.3 + 0.25), 1.0)
        for index, text in enumerate(TEXT.split())
    )
    ending = EndOfTurn()
    ending.begin(Context(agent_text="Hello! How can I help you?"))
    hops = itertools.count()

    def judge() -> None:
        hop = next(hops)
        # A text of another length each time: nothing is known from the last one.
        said = words[: hop % len(words) + 1]
        text = " ".join(word.text for word in said)
        ending.heard(Hypothesis(1, text, said, False, 0, said[-1].end_sample))
        ending.sounded(0.3)
        ending.judge(0.032 * (hop % 30))
        ending.wants_prosody(0.032 * (hop % 30))

    return judge


def _timed(work: Callable[[], object], times: int) -> list[float]:
    taken = []
    for _ in range(times):
        begin = time.thread_time()
        work()
        taken.append(1000 * (time.thread_time() - begin))
    return taken


def _summary(taken_ms: list[float]) -> dict[str, float]:
    return {
        name: round(float(np.quantile(taken_ms, share)), 3)
        for name, share in (("p50", 0.5), ("p95", 0.95), ("p99", 0.99))
    }


if __name__ == "__main__":
    print(json.dumps(main()))
