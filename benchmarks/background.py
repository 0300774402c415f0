"""People talking behind the caller: is he answered, how late, and is he cut off?

    python -m benchmarks.background --data DIR [--clips 24] [--taught]

Spoken orders (`commands/`), each into a line on which other people of the same recordings talk:
four at once (babble), or one with pauses (a television), 10 to 25 dB below the caller. And callers
alone who end softly, go on softly, or begin behind a slammed door, which nobody may take for people
behind them. The real speech detector, recogniser and Smart Turn on the sample clock, once with the
levels of `agent.vad.foreground` and once without; beside them Pipecat's own Silero and Smart Turn.
Clips that `benchmarks.fit_turns` did not learn from, or with `--taught` those it did.

A commit within `WAITS_S` behind the caller's last word is an answer, before it a cut-off, and
before his first word a ghost. Words are compared with those read of him alone. Prints a JSON line.
"""

import argparse
import json
import sys
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from loguru import logger
from pipecat.audio.vad.silero import SileroVADAnalyzer
from pipecat.audio.vad.vad_analyzer import VADState

from agent.asr.hypothesis import Word
from agent.audio.chunk import SAMPLE_RATE, samples, seconds, to_float
from agent.models.store import locate
from agent.turns.events import (
    AgentFloor,
    Decision,
    DecisionKind,
    Evidence,
    Heard,
    Prosody,
    SpeechProbability,
    TurnLost,
)
from agent.turns.policy import FusedPolicy
from agent.turns.prosody import ProsodySchedule
from agent.turns.smart_turn import WINDOW_S, SmartTurn
from agent.turns.sounds import distance, tokens
from agent.vad.silero import HOP
from benchmarks.background_calls import WAITS_S, Call, call, calls, takes
from benchmarks.fit_turns import is_taught
from benchmarks.ladder import Ears, Ladder, Sound, attributed
from benchmarks.machine import describe
from benchmarks.pipecat_smart_turn import PipecatSmartTurn
from benchmarks.turns_data import seeded
from benchmarks.turns_systems import SCORING_S

_QUIET = AgentFloor(0, is_speaking=False)


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a call: seconds from its end to the commit, None for none, and the words."""

    waited_s: float | None
    is_ghost: bool = False
    text: str = ""


def _since(heard: Sound, line: Call) -> Sound:
    """Without what was earlier."""
    before = len(line.earlier)
    hops = [replace(hop, at_sample=hop.at_sample - before) for hop in heard.hops]
    return Sound(line.pcm, tuple(hops[before // HOP :]))


class _Noting(FusedPolicy):
    """Remembers the latest words."""

    words: tuple[Word, ...] = ()

    def push(self, evidence: Evidence) -> list[Decision]:
        if isinstance(evidence, Heard):
            self.words = evidence.hypothesis.words
        return super().push(evidence)

    def text(self, words_from: int = 0) -> str:
        """What belongs to a turn."""
        return " ".join(word.text for word in self.words if word.start_sample >= words_from)


class Line(Ladder):
    """One call, with Smart Turn."""

    def __init__(self, ears: Ears, smart_turn: SmartTurn) -> None:
        super().__init__(ears)
        self._policy: _Noting = _Noting()
        self._smart_turn = smart_turn
        self._schedule = ProsodySchedule()
        self._scores: list[tuple[int, Prosody]] = []

    def hold(self, call: Call, sound: Sound) -> Outcome:
        """Listen until the caller is answered, or gives up."""
        is_ghost = False
        for hop in sound.hops:
            while self._scores and self._scores[0][0] <= hop.at_sample:
                self._policy.push(self._scores.pop(0)[1])
            made = self.push(call.pcm[hop.at_sample - HOP : hop.at_sample], hop, _QUIET)
            for decision in made:
                if decision.kind is not DecisionKind.COMMIT:
                    continue
                if decision.at_sample > call.start:
                    waited = seconds(decision.at_sample - call.end)
                    return Outcome(waited, is_ghost, self._policy.text(decision.words_from))
                is_ghost = True
                self._policy.push(TurnLost(decision.at_sample))
            self._score(call, hop)
        return Outcome(None, is_ghost, self._policy.text())

    def _score(self, call: Call, hop: SpeechProbability) -> None:
        at, is_speaking = hop.at_sample, self._policy.user_is_speaking
        due = self._schedule.hop(at, hop.probability, is_speaking=is_speaking, is_free=True)
        if due is None or not (is_speaking or self._policy.wants_prosody):
            return
        heard = call.pcm[max(0, at - samples(WINDOW_S)) : at]
        heard = np.concatenate([heard, np.zeros(due.silence, np.int16)])
        score = Prosody(at + due.silence, self._smart_turn.score(heard))
        self._scores.append((at + max(samples(SCORING_S), due.silence + HOP), score))


def stock(call: Call, smart_turn: PipecatSmartTurn) -> Outcome:
    """Pipecat's default: its Silero with a volume gate, then Smart Turn once, else 3 s of quiet."""
    vad = SileroVADAnalyzer(sample_rate=SAMPLE_RATE)
    vad.set_sample_rate(SAMPLE_RATE)
    state, quiet_from, is_ghost, has_spoken = VADState.QUIET, None, False, False
    for at in range(HOP, len(call.pcm) + 1, HOP):
        before, state = state, vad._run_analyzer(call.pcm[at - HOP : at].tobytes())
        if state is VADState.SPEAKING:
            quiet_from, has_spoken = None, True
        is_over = False
        if state is VADState.QUIET and before is VADState.STOPPING:
            quiet_from = at
            is_over = smart_turn.score(call.pcm[:at]) > 0.5
        elif quiet_from is not None and has_spoken:
            is_over = at - quiet_from >= samples(2.8)
        if is_over and has_spoken:
            has_spoken, quiet_from = False, None
            if at > call.start:
                return Outcome(seconds(at - call.end), is_ghost)
            is_ghost = True
    return Outcome(None, is_ghost)


def _figures(outcomes: Sequence[tuple[Outcome, str]]) -> dict[str, Any]:
    waited = [one.waited_s for one, _ in outcomes]
    answered = [each for each in waited if each is not None and each >= 0.0]
    read = [(tokens(one.text), tokens(clean)) for one, clean in outcomes if one.text]
    wrong = sum(distance(mine, clean) for mine, clean in read)
    return {
        "answered": round(len(answered) / len(waited), 3),
        "cut_off": round(sum(each is not None and each < 0.0 for each in waited) / len(waited), 3),
        "never": round(waited.count(None) / len(waited), 3),
        "ghosts": round(sum(one.is_ghost for one, _ in outcomes) / len(waited), 3),
        "dead_air_p50_s": round(float(np.quantile(answered, 0.5)), 2) if answered else None,
        "dead_air_p90_s": round(float(np.quantile(answered, 0.9)), 2) if answered else None,
        "wer": round(wrong / max(sum(len(clean) for _, clean in read), 1), 3) if read else None,
    }


def main(
    data: Path, first: int, count: int, *, taught: bool, only: str, verbose: bool
) -> dict[str, Any]:
    """Hold all calls."""
    ears = Ears()
    smart_turn = SmartTurn(locate("smart-turn-v3.2") / "smart-turn-v3.2-cpu.onnx")
    rival = PipecatSmartTurn()
    names = sorted((path.stem for path in (data / "commands").glob("*.flac")), key=seeded_order)
    all_takes = list(takes(data, ears, [name for name in names if is_taught(name) == taught]))
    found: dict[str, dict[str, list[tuple[Outcome, str]]]] = defaultdict(lambda: defaultdict(list))
    changed: dict[str, int] = defaultdict(int)
    for take in all_takes[first : first + count]:
        others = [other for other in all_takes if other is not take]
        clean = ears.moonshine.transcribe(to_float(call(take).pcm[: -samples(WAITS_S) + HOP])).text
        for name, line in calls(take, others):
            if only not in name:
                continue
            whole = ears.detect(np.concatenate([line.earlier, line.pcm]))
            plain, level = (_since(heard, line) for heard in (whole, attributed(whole)))
            mine = Line(ears, smart_turn).hold(line, level)
            is_same = all(hop.behind is None for hop in level.hops)
            changed[name] += not is_same
            before = mine if is_same else Line(ears, smart_turn).hold(line, plain)
            found[name]["ours"].append((mine, clean))
            found[name]["without levels"].append((before, clean))
            found[name]["Pipecat's default"].append((stock(line, rival), clean))
            if verbose:
                print(take.name, name, mine, before, clean, sep="\n  ", file=sys.stderr)
    return {
        "benchmark": "background",
        "calls": count,
        "situations": {
            name: {system: _figures(rows) for system, rows in systems.items()}
            | {"calls_with_somebody_behind": changed[name]}
            for name, systems in found.items()
        },
        **describe(),
    }


def seeded_order(name: str) -> float:
    """An order that has nothing to do with what is said."""
    return seeded(name).random()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--clips", type=int, default=24)
    parser.add_argument("--from", type=int, default=0, dest="first", help="clip to begin with")
    parser.add_argument("--taught", action="store_true", help="clips that were learnt from")
    parser.add_argument("--only", default="", help="situations whose name holds this")
    parser.add_argument("--verbose", action="store_true", help="every call, on standard error")
    given = parser.parse_args()
    logger.remove()
    found = main(
        given.data,
        given.first,
        given.clips,
        taught=given.taught,
        only=given.only,
        verbose=given.verbose,
    )
    print(json.dumps(found))
