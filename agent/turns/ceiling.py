"""The longest silence behind what reads finished, whatever the sum of evidence says. Pure.

An unusual wording or an unusual voice must not keep somebody waiting who has finished: one pause in
seven lasts longer than a second (`agent.turns.survival.LAW`). The last words decide how much of
that risk is taken (figures in `docs/turns.md`).
"""

import math

from agent.turns.boundary import tokens
from agent.turns.completeness import Completeness, completeness

READS_FINISHED = -2.0
"""`boundary` from which the last words can well be the last ones."""

LIKELY_FINISHED = 0.5
"""The language model's chance from which they can: "bees make" is no ending to the table, and one
to whoever knows what was asked."""

QUESTION_AT_MOST_S = 0.6
"""Behind a question, or a word that is a whole turn: both are spoken without a pause, as a rule."""

FINISHED_AT_MOST_S = 1.0
"""Behind other texts that read finished."""

CLOSED_AT_MOST_S = 1.5
"""Behind what the recogniser alone takes for a sentence: it puts a mark behind nearly anything. A
question gets `FINISHED_AT_MOST_S`."""

_ALONE = frozenset(
    "hello hi hey yes yeah yep no nope okay ok sure thanks goodbye bye help correct right".split()
)
_ASKING = frozenset(
    "what what's who who's whose where where's when why how how's which is are was were am do does "
    "did has have will isn't aren't don't doesn't didn't should".split()
)
"""Not "can", "could", "may": these open orders."""

_INVERTED = frozenset("is are was were am does did isn't aren't doesn't didn't".split())
"""Before their subject these ask whatever mark the recogniser puts: "Is water wet." Not "do" and
"have", which open orders, nor "will", which is a name."""

_LEADING = frozenset("and so but hey okay ok um please then now".split())


def at_most_s(text: str, score: float, chance: float | None = None) -> float:
    """Silence behind `text` in which its turn ends at the latest; infinite where it may go on.

    Args:
        text: A transcript with the recogniser's marks.
        score: What `agent.turns.boundary.boundary` says of it.
        chance: The language model's, that this is all; None where it was not asked.
    """
    is_likely = chance is not None and chance >= LIKELY_FINISHED
    reads = completeness(text)
    if reads is not Completeness.CLOSED and not (is_likely and reads is Completeness.OPEN):
        return math.inf
    words = tokens(text)
    if len(words) == 1 and words[0] in _ALONE:
        return QUESTION_AT_MOST_S
    quick_s, slow_s = FINISHED_AT_MOST_S, CLOSED_AT_MOST_S
    if is_question(text):
        quick_s, slow_s = QUESTION_AT_MOST_S, FINISHED_AT_MOST_S
    return quick_s if is_likely or score >= READS_FINISHED else slow_s


def is_question(text: str) -> bool:
    """Whether a transcript, with the recogniser's marks, asks something in three words or more."""
    words = tokens(text)
    while words and words[0] in _LEADING:
        words = words[1:]
    if len(words) < 3 or words[0] not in _ASKING:
        return False
    return text.rstrip().endswith("?") or words[0] in _INVERTED
