"""False cut-offs and dead air: ours, Pipecat's default stock and swept, plain timeouts swept.

    python -m benchmarks.turns --data DIR [--cache FILE] [--clips all] [--json] [--plot SVG]

DIR holds `commands/` and `digits/` (`benchmarks.turns_data`). The models hear each recording once,
which takes most of an hour, into FILE (`benchmarks.turns_cache`); all systems are then judged on
the same silences, on the sample clock. By default these are of the clips that
`benchmarks.fit_turns` did not learn from; `--clips all` is for other recordings.

Figures as eot-bench (github.com/livekit/eot-bench) defines them: the fewest false cut-offs with a
mean dead air of at most 300 and 600 ms, the least dead air with at most 5 and 10 % false cut-offs,
each over all settings of a system. Dead air is silence, without the time models take; ours is also
given with it. Intervals: 95 %, over 1000 draws of clips.
"""

import argparse
import json
import math
import tempfile
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from agent.turns.boundary import boundary
from agent.turns.ceiling import at_most_s
from agent.turns.ending import EARLIEST_S, PREPARED_S, SPECULATE_ODDS, Context
from agent.turns.fitted import FITTED
from agent.turns.survival import HAZARD
from agent.vad.readings import Profile
from benchmarks.fit_turns import ASKED, READ, fit, is_taught, lasting
from benchmarks.machine import describe
from benchmarks.turns_cache import SHORTEST_S, Pause, load, record
from benchmarks.turns_frontier import (
    METRICS,
    Floats,
    Outcomes,
    frontier,
    outcomes,
    resampled,
    summary,
)
from benchmarks.turns_plot import draw
from benchmarks.turns_systems import (
    HOPS_S,
    TERMS,
    evidence,
    first_hops,
    in_order,
    ours,
    pipecat_stock,
    smart_turn_swept,
    timeouts,
    weighed,
)

DRAWS = 1000
USUAL = ["commands", "digits", "emails", "spelled"]
OURS, RIVAL = "ours", "Smart Turn 3.2, swept"


def orders(pauses: Sequence[Pause], taught: Sequence[Pause]) -> dict[str, Any]:
    """Requests: every system's figures, ours with its intervals against the best rival."""
    odds = _odds(pauses)
    systems = {
        OURS: ours(pauses, _odds(pauses, at_once=True)),
        RIVAL: smart_turn_swept(pauses),
        "timeout, swept": timeouts(pauses),
        "ours, with the time models take": ours(pauses, odds),
    }
    draws = resampled(list(systems.values()), DRAWS)
    found: dict[str, Any] = {
        "ends": sum(pause.is_end for pause in pauses),
        "pauses_made": sum(pause.is_made for pause in pauses),
        "pauses_spoken": sum(not pause.is_end and not pause.is_made for pause in pauses),
        "systems": {
            name: _figures(one, draws[:, column])
            for column, (name, one) in enumerate(systems.items())
        },
        "ours_to_rival": _ratios(systems[OURS], systems[RIVAL], draws),
        "stock": {
            "ours, 5 s a cut-off": _point(ours_at(pauses, odds, Context())) | _drafts(pauses, odds),
            "Pipecat's default": _point(pipecat_stock(pauses)),
        },
        "calibration": calibration(pauses, odds),
        "frontiers": {name: frontier(one) for name, one in systems.items()},
    }
    if taught:
        found["without"] = _ablations(pauses, taught)
        found["transfer"] = _transfer(pauses, taught)
    return found


def _odds(pauses: Sequence[Pause], *, at_once: bool = False) -> Floats:
    """Ours, with the weights that are shipped."""
    short, read = in_order(FITTED.short), in_order(FITTED.read)
    return weighed(evidence(pauses, at_once=at_once), short, read)


def ours_at(pauses: Sequence[Pause], odds: Floats, context: Context) -> Outcomes:
    """Ours as it is delivered."""
    # The odds are those of one pause a turn.
    commit = math.log(HAZARD * context.cost_s * context.pauses_per_turn)
    fires_s = first_hops(odds, [commit])
    if context.profile is Profile.SHORT:
        fires_s = np.minimum(fires_s, _latest_s(pauses))
    return outcomes(pauses, np.maximum(fires_s, EARLIEST_S), ["stock"])


def _latest_s(pauses: Sequence[Pause]) -> Floats:
    return np.array(
        [at_most_s(pause.text, boundary(pause.text), pause.wording) for pause in pauses]
    )


def _figures(found: Outcomes, draws: Floats) -> dict[str, Any]:
    low, high = np.nanquantile(draws, (0.025, 0.975), axis=0)
    return {
        name: [round(float(value), 4) for value in (figure, low[column], high[column])]
        for column, (name, figure) in enumerate(zip(METRICS, summary(found), strict=True))
    }


def _ratios(mine: Outcomes, rival: Outcomes, draws: Floats) -> dict[str, Any]:
    each = draws[:, 0] / draws[:, 1]
    low, high = np.nanquantile(each, (0.025, 0.975), axis=0)
    ratio = summary(mine) / summary(rival)
    return {
        name: [round(float(value), 3) for value in (ratio[column], low[column], high[column])]
        for column, name in enumerate(METRICS)
    }


def _point(found: Outcomes) -> dict[str, float]:
    latency = found.latency_s[0]
    return {
        "pauses": len(found.hold_clips),
        "cut_off_share": round(float(found.cut.mean()), 4),
        "dead_air_mean_s": round(float(latency.mean()), 3),
        "dead_air_p50_s": round(float(np.quantile(latency, 0.5)), 3),
        "dead_air_p90_s": round(float(np.quantile(latency, 0.9)), 3),
        "dead_air_p99_s": round(float(np.quantile(latency, 0.99)), 3),
    }


def _drafts(pauses: Sequence[Pause], odds: Floats) -> dict[str, float]:
    """Answers prepared: for each turn that is answered, how many were in vain."""
    begun = first_hops(odds, [math.log(SPECULATE_ODDS * Context().pauses_per_turn)])
    begun = np.minimum(begun, _latest_s(pauses) - PREPARED_S)
    vain = outcomes(pauses, begun, ["speculate"]).cut.mean()
    return {"drafts_withdrawn_per_pause": round(float(vain), 3)}


def calibration(pauses: Sequence[Pause], odds: Floats) -> dict[str, Any]:
    """Said and true chance of an end, with one pause a turn, over all hops of silence."""
    ends = sum(pause.is_end for pause in pauses)
    share = ends / max(len(pauses) - ends, 1)
    totals: dict[int, list[float]] = defaultdict(lambda: [0.0, 0.0, 0.0])
    for pause, row in zip(pauses, odds, strict=True):
        for silence_s, value in zip(HOPS_S, row, strict=True):
            if silence_s > 1.5 or not np.isfinite(value):
                continue
            said = 1 / (1 + math.exp(-value))
            count = 1.0 if pause.is_end else share * lasting(pause, float(silence_s))
            total = totals[min(int(said * 10), 9)]
            total[0] += count
            total[1] += count * said
            total[2] += count * pause.is_end
    whole = sum(total[0] for total in totals.values())
    error = sum(abs(total[1] - total[2]) for total in totals.values()) / whole
    bins = [
        [round(said / count, 3), round(true / count, 3)]
        for count, said, true in (totals[key] for key in sorted(totals))
        if count
    ]
    return {"expected_error": round(error, 4), "said_and_true": bins}


def _ablations(pauses: Sequence[Pause], taught: Sequence[Pause]) -> dict[str, Any]:
    """Figures with a term left out, the others fitted anew."""
    learnt, told = evidence(taught), evidence(pauses, at_once=True)
    rows = {}
    for left_out in ("nothing", "words", "language", "length", "voice", "pause") if taught else ():
        used = [name for name in READ if name != left_out]
        weights = list(fit(taught, learnt, used, balanced=True).values())
        odds = weighed(told, weights, weights if "language" in used else None)
        rows[left_out] = dict(
            zip(METRICS, (round(float(x), 4) for x in summary(ours(pauses, odds))), strict=True)
        )
    return rows


def _transfer(pauses: Sequence[Pause], taught: Sequence[Pause]) -> dict[str, Any]:
    """What a setting chosen on the orders that were learnt from does on the others."""
    taught = [pause for pause in taught if pause.source == "commands"]
    rows = {}
    for name, learnt, judged in (
        (
            "ours",
            ours(taught, _odds(taught)),
            ours(pauses, _odds(pauses)),
        ),
        (RIVAL, smart_turn_swept(taught), smart_turn_swept(pauses)),
        ("timeout, swept", timeouts(taught), timeouts(pauses)),
    ):
        cut, latency = learnt.cut.mean(axis=1), learnt.latency_s.mean(axis=1)
        allowed = np.flatnonzero(cut <= 0.05)
        row = int(allowed[latency[allowed].argmin()])
        rows[name] = {
            "setting": learnt.settings[row],
            "asked": 0.05,
            "found": round(float(judged.cut[row].mean()), 4),
            "dead_air_mean_s": round(float(judged.latency_s[row].mean()), 3),
        }
    return rows


def _turns_cut(pauses: Sequence[Pause], found: Outcomes) -> dict[str, Any]:
    """Of whole turns as people spoke them: how many are cut off, and the dead air behind them."""
    turns = sum(pause.is_end for pause in pauses)
    return {
        "turns": turns,
        "pauses": len(pauses) - turns,
        "turns_cut_off_share": round(float(found.cut[0].sum()) / turns, 4),
        **{name: value for name, value in _point(found).items() if name != "cut_off_share"},
    }


def _requests(pauses: Sequence[Pause]) -> dict[str, Any]:
    """Short questions among them; as delivered, by a voice that Smart Turn has not heard."""
    odds = _odds(pauses)
    asks = [pause.text.rstrip().endswith("?") for pause in pauses]
    chosen = {
        "all": range(len(pauses)),
        "questions": [row for row, is_question in enumerate(asks) if is_question],
    }
    return {
        name: {
            "ours": _point(ours_at([pauses[row] for row in rows], odds[list(rows)], Context())),
            "Pipecat's default": _point(pipecat_stock([pauses[row] for row in rows])),
        }
        for name, rows in chosen.items()
    }


def dictation(pauses: Sequence[Pause]) -> dict[str, Any]:
    """Numbers and spelling: how many are not split by any of their pauses."""
    rows = {}
    for name, knows in (
        ("ours, number of digits known", True),
        ("ours, number not known", False),
    ):
        table = evidence(pauses, knows_digits=knows)
        column = TERMS.index("context")
        context = table[:, :, column]
        table[:, :, column] = np.where(
            context > 0, FITTED.digits_complete, np.where(context < 0, FITTED.digits_missing, 0.0)
        )
        odds = weighed(table, in_order(FITTED.continuous))
        rows[name] = _unsplit(pauses, ours_at(pauses, odds, Context(Profile.CONTINUOUS)))
    rows["Pipecat's default"] = _unsplit(pauses, pipecat_stock(pauses))
    swept = timeouts(pauses)
    for row, setting in enumerate(swept.settings):
        if setting in ("0.80 s", "1.50 s", "2.02 s"):
            one = Outcomes(
                swept.latency_s[row : row + 1],
                swept.cut[row : row + 1],
                swept.end_clips,
                swept.hold_clips,
                (setting,),
            )
            rows[f"timeout {setting}"] = _unsplit(pauses, one)
    return {"utterances": len({pause.clip for pause in pauses}), "systems": rows}


def _unsplit(pauses: Sequence[Pause], found: Outcomes) -> dict[str, Any]:
    whole = dict.fromkeys((pause.clip for pause in pauses), 1.0)
    for clip, cut in zip(found.hold_clips, found.cut[0], strict=True):
        whole[clip] *= 1.0 - float(cut)
    kinds = sorted({pause.source for pause in pauses})
    kind_of = {pause.clip: pause.source for pause in pauses}
    return {
        "not_split": {
            kind: round(float(np.mean([whole[clip] for clip in whole if kind_of[clip] == kind])), 3)
            for kind in kinds
        },
        **_point(found),
    }


def main(pauses: list[Pause], clips: str) -> dict[str, Any]:
    """Judge."""
    judged = [pause for pause in pauses if clips == "all" or not is_taught(pause.clip)]
    taught = [pause for pause in pauses if is_taught(pause.clip)] if clips != "all" else []
    asked = [pause for pause in judged if pause.source == "commands"]
    spoken = [pause for pause in asked if not pause.is_made]
    found: dict[str, Any] = {"benchmark": "turns", "clips": clips}
    found["orders"] = orders(asked, [pause for pause in taught if pause.source in ASKED])
    found["orders, their own pauses only"] = {
        name: dict(zip(METRICS, (round(float(x), 4) for x in summary(one)), strict=True))
        for name, one in (
            ("ours", ours(spoken, _odds(spoken))),
            (RIVAL, smart_turn_swept(spoken)),
            ("timeout, swept", timeouts(spoken)),
        )
        if any(not pause.is_end and (pause.lasts_s or 0) >= SHORTEST_S for pause in spoken)
    }
    odds = _odds(spoken)
    found["orders, as spoken"] = _turns_cut(spoken, ours_at(spoken, odds, Context())) | {
        "Pipecat's default": _turns_cut(spoken, pipecat_stock(spoken))
    }
    if queries := [pause for pause in judged if pause.source == "queries"]:
        found["requests by our own voice"] = _requests(queries) | {
            "without": _ablations(queries, [pause for pause in taught if pause.source in ASKED])
        }
    prompts = [pause for pause in judged if pause.source == "prompts"]
    if prompts:
        found["prompts"] = {
            name: dict(zip(METRICS, (round(float(x), 4) for x in summary(one)), strict=True))
            for name, one in (
                ("ours", ours(prompts, _odds(prompts))),
                (RIVAL, smart_turn_swept(prompts)),
                ("timeout, swept", timeouts(prompts)),
            )
        }
    dictated = [pause for pause in judged if pause.expects]
    if dictated:
        found["dictation"] = dictation(dictated)
    return found | describe()


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--data", type=Path, help="folder with commands/ and digits/")
    parser.add_argument("--cache", type=Path, action="append", help="what the models heard")
    parser.add_argument("--clips", choices=("held-out", "all"), default="held-out")
    parser.add_argument("--json", action="store_true", help="one line, with the frontiers")
    parser.add_argument("--plot", type=Path, help="write the frontiers as a picture")
    options = parser.parse_args()
    caches = options.cache or [Path(tempfile.gettempdir()) / "duplex-turns.jsonl"]
    if options.data:
        record(options.data, caches[0], USUAL)
    result = main([pause for cache in caches for pause in load(cache)], options.clips)
    if options.plot:
        options.plot.write_text(draw(result["orders"]["frontiers"]), encoding="utf-8")
    if not options.json:
        del result["orders"]["frontiers"]
    print(json.dumps(result, indent=None if options.json else 2))
