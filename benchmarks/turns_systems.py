"""The systems that end turns: when each setting of each fires in each pause. Pure.

Ours is the agent's own `EndOfTurn`, told what it would have been told when it would have been told
it. The others get what they ask for at once, without the time their models take.
"""

import math
from collections.abc import Iterable, Sequence
from itertools import product

import numpy as np

from agent.asr.hypothesis import Hypothesis, Word
from agent.audio.chunk import samples
from agent.turns.completeness import without_mark
from agent.turns.ending import Context, EndOfTurn
from agent.turns.fitted import FITTED
from agent.turns.weights import Model, Weights
from agent.vad.readings import Profile
from benchmarks.turns_cache import SCORED_AT_S, Pause
from benchmarks.turns_frontier import HOP_S, Floats, Outcomes, outcomes

TEXT_AT_S = HOP_S + 0.12
"""Silence after which the text is complete: it is read at the first silent hop; 0.12 s was measured
on 2 cores for clips of 3 s."""

SCORING_S = HOP_S
"""From a moment to Smart Turn's score of it: 10 ms of work, and decisions fall hop by hop."""

READING_S = 0.06
"""From a text to what the language model makes of it, likewise, of two new words."""

HOPS_S = np.arange(4, 125) * HOP_S
"""Silences at which ours is asked, 0.128 to 4 s."""

NEVER_S = math.inf

THRESHOLDS = (
    *(0.001, 0.003, 0.005, 0.01, 0.02, 0.03, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7),
    *(0.8, 0.85, 0.9, 0.93, 0.95, 0.96, 0.97, 0.975, 0.98, 0.985, 0.99),
)
DELAYS_S = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.8, 1.0, 1.2)
TIMEOUTS_S = (*(0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 1.0, 1.2, 1.4, 1.6, 2.0, 2.5, 3.0, 4.0),)


def timeouts(pauses: Sequence[Pause]) -> Outcomes:
    """Silence alone."""
    waits = np.arange(3, 125) * HOP_S
    fires = np.repeat(waits[:, None], len(pauses), axis=1)
    return outcomes(pauses, fires, [f"{wait:.2f} s" for wait in waits])


def pipecat_stock(pauses: Sequence[Pause]) -> Outcomes:
    """Smart Turn once, after 0.2 s of silence: finished above 0.5, else 3 s of silence."""
    scores = _scores(pauses)[:, 1]
    fires = np.where(scores > 0.5, 0.2, 3.0)[None]
    return outcomes(pauses, fires, ["stock"])


def smart_turn_swept(pauses: Sequence[Pause]) -> Outcomes:
    """Smart Turn at its best: asked once or again and again, every threshold, delay and timeout."""
    scores = _scores(pauses)
    rows, settings = [], []
    for threshold in THRESHOLDS:
        firing = [
            (f"from {delay_s} s on", delay_s, _again(scores, threshold, delay_s))
            for delay_s in DELAYS_S
        ] + [
            (f"once at {at_s} s", at_s, np.where(scores[:, column] >= threshold, at_s, NEVER_S))
            for column, at_s in enumerate(SCORED_AT_S[:5])
        ]
        for (when, delay_s, fires), timeout_s in product(firing, TIMEOUTS_S):
            if timeout_s >= delay_s:
                rows.append(np.minimum(fires, timeout_s))
                settings.append(f"at least {threshold} {when}, else {timeout_s} s")
    return outcomes(pauses, np.array(rows), settings)


def _scores(pauses: Sequence[Pause]) -> Floats:
    """Shape (pauses, moments); past a pause's end its last score goes on."""
    table = np.empty((len(pauses), len(SCORED_AT_S)))
    for row, pause in enumerate(pauses):
        known = pause.prosody
        table[row] = [known[min(column, len(known) - 1)] for column in range(len(SCORED_AT_S))]
    return table


def _again(scores: Floats, threshold: float, delay_s: float) -> Floats:
    first = max(int(np.searchsorted(SCORED_AT_S, delay_s, side="right")) - 1, 0)
    enough = scores[:, first:] >= threshold
    moments = np.maximum(np.array(SCORED_AT_S[first:]), delay_s)
    return np.where(enough.any(axis=1), moments[enough.argmax(axis=1)], NEVER_S)


UNIT = Model(
    short=Weights(1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    read=Weights(1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    continuous=Weights(1.0, 1.0, 1.0, 1.0, 1.0, 1.0),
    unscored=FITTED.unscored,
    digits_missing=-1.0,
    digits_complete=1.0,
)
"""With it the terms of a judgement are the evidence itself."""

TERMS = ("bias", "words", "length", "voice", "language", "context", "pause")


def in_order(weights: Weights) -> list[float]:
    """Of `TERMS`; what the context says has its weight in it already."""
    known = (weights.bias, weights.words, weights.length, weights.voice, weights.language)
    return [*known, 1.0, weights.pause]


def evidence(
    pauses: Sequence[Pause],
    *,
    knows_digits: bool = True,
    at_once: bool = False,
) -> Floats:
    """What the agent's own judge makes of every pause at every hop, not yet weighed.

    Args:
        pauses: In the order they were spoken.
        knows_digits: Whether the dialogue says how many digits it asked for.
        at_once: Whether to leave out the time the models take.

    Returns:
        Shape (pauses, hops, terms); before the text is complete there is none: not a number. Nor
        is what the language model says before it has.
    """
    table = np.full((len(pauses), len(HOPS_S), len(TERMS)), np.nan)
    judge, before = EndOfTurn(UNIT), None
    for row, pause in enumerate(pauses):
        goes_on = before and before.clip == pause.clip and not before.is_made and not pause.is_made
        if not goes_on:
            judge = EndOfTurn(UNIT)
            judge.begin(_context(pause, knows_digits))
        elif before:
            judge.resumed(before.lasts_s or 0.0)
        before = pause
        _fill(table[row], judge, pause, at_once=at_once)
    return table


def _context(pause: Pause, knows_digits: bool) -> Context:
    profile = Profile.CONTINUOUS if pause.expects else Profile.SHORT
    # Requests come unasked; what is dictated was asked for.
    asked = "What is it, please?" if pause.expects else ""
    return Context(profile, asked, pause.digits or None if knows_digits else None)


def _fill(table: Floats, judge: EndOfTurn, pause: Pause, *, at_once: bool) -> None:
    text_at_s, scoring_s = (HOP_S, 0.0) if at_once else (TEXT_AT_S, SCORING_S)
    judge.heard(Hypothesis(1, pause.text, timed(pause), False, 0, 0))
    read_at_s = math.inf
    if pause.wording is not None:
        read_at_s = text_at_s + (0.0 if at_once else READING_S)
    # The first is asked for ahead of its silence, the others in theirs.
    waiting = [
        (at_s + scoring_s * (number > 0), score) for number, (at_s, score) in enumerate(pause.voice)
    ]
    for hop, silence_s in enumerate(HOPS_S):
        while waiting and waiting[0][0] <= silence_s:
            judge.sounded(waiting.pop(0)[1])
        if silence_s >= read_at_s and pause.wording is not None:
            judge.read(without_mark(pause.text), pause.wording)
        if silence_s >= text_at_s:
            terms = dict(judge.judge(float(silence_s)).terms)
            if silence_s < read_at_s:
                terms["language"] = math.nan
            table[hop] = [terms[name] for name in TERMS]


def timed(pause: Pause) -> tuple[Word, ...]:
    """Its words, with times on a clock: they count back from the silence, at one hour."""
    return tuple(
        Word(text, samples(3600 + start_s), samples(3600 + end_s), confidence)
        for text, start_s, end_s, confidence in pause.words
    )


def weighed(table: Floats, weights: Sequence[float], read: Sequence[float] | None = None) -> Floats:
    """Log-odds, shape (pauses, hops), of evidence and one weight a term.

    Args:
        table: From `evidence`.
        weights: While the language model has not read the words.
        read: Once it has; None if it is never listened to.
    """
    unread = table.copy()
    unread[:, :, TERMS.index("language")] = 0.0
    odds: Floats = unread @ np.array(weights)
    if read is not None:
        known = table @ np.array(read)
        odds = np.where(np.isnan(known), odds, known)
    return np.nan_to_num(odds, nan=-np.inf)


def first_hops(odds: Floats, thresholds: Iterable[float]) -> Floats:
    """Silence at which log-odds first reach each threshold, shape (thresholds, pauses)."""
    rows = []
    for threshold in thresholds:
        reached = odds >= threshold
        rows.append(np.where(reached.any(axis=1), HOPS_S[reached.argmax(axis=1)], NEVER_S))
    return np.array(rows)


def ours(pauses: Sequence[Pause], odds: Floats) -> Outcomes:
    """One knob: the log-odds that end a turn."""
    thresholds = np.linspace(-6.0, 9.0, 301)
    settings = [f"log-odds {threshold:.2f}" for threshold in thresholds]
    return outcomes(pauses, first_hops(odds, thresholds), settings)
