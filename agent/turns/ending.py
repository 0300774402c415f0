"""Has the turn ended? One sum of log-odds, two thresholds from a stated cost. Pure.

What silence, words, voice and dialogue say is added up (naive Bayes with fitted weights):

    log-odds = bias + words * boundary(text) + length * log(time spoken) + voice * logit(score)
                    + language * logit(chance) + context
                    + pause * surprise(silence / the caller's pace)

Each term says by how much it speaks for an end. The thresholds follow Raux and Eskenazi 2009:
waiting another moment is worth it while the chance that a pause ends in that moment, times the cost
of a cut-off, exceeds what that moment costs somebody who has finished.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass

from agent.asr.hypothesis import Hypothesis
from agent.turns.boundary import boundary
from agent.turns.ceiling import at_most_s, is_question
from agent.turns.completeness import (
    Completeness,
    completeness,
    digits_in,
    digits_said,
    is_being_dictated,
    without_mark,
)
from agent.turns.fitted import FITTED
from agent.turns.length import length
from agent.turns.survival import HAZARD, Pace, silence_for, surprise
from agent.turns.weights import Model, Weights
from agent.vad.readings import Profile

FRESH_PARTIAL_S = 0.12
"""A turn does not end so soon after a partial changed that does not cover all the speech: the
recogniser is still at work."""

PROSODY_EVERY_S = 0.16
"""Silence between two scores of the voice."""

PROSODY_UNTIL_S = 0.5
"""Silence after which another score says nothing: Smart Turn's score rises with the silence
itself, whether or not the turn has ended (`docs/turns.md`)."""

EARLIEST_S = 0.3
"""Silence before which no turn ends. An answer is prepared from even odds on and cannot be heard
sooner, so this costs nobody time, and one pause in six is over by then."""

TRAILING_AT_MOST = -6.0
"""What the words say behind one that calls for another ("a table for"), however much was said
before it."""

SPECULATE_ODDS = 1.0
"""Odds from which an answer is prepared: one that is withdrawn costs as much as one that is heard
sooner gains."""

_LOGIT_LIMIT = 3.5
"""A score nearer to 0 or 1 than 0.03 says no more than that. On voices that Smart Turn has not
heard it is sure and wrong, and one term must not outvote all the others."""

_LANGUAGE_LIMIT = 3.0
"""Likewise of the language model's chance, at 0.047: it has read many texts and not this caller's.
With 2 to 4 the sum is as good."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the dialogue leads to expect of the user's turn.

    Attributes:
        profile: How the user is going to speak.
        agent_text: What the agent said last.
        digits: How many digits were asked for; None where no number was, or of unknown length.
        cut_off_cost_s: What one cut-off costs, in seconds of dead air; None for what the rest of
            the context implies.
    """

    profile: Profile = Profile.SHORT
    agent_text: str = ""
    digits: int | None = None
    cut_off_cost_s: float | None = None

    @property
    def is_answer(self) -> bool:
        """Whether the agent asked for something in particular; "How can I help?" asks for all."""
        text = self.agent_text.rstrip()
        return text.endswith("?") and not _INVITING.search(_last_sentence(text))

    @property
    def pauses_per_turn(self) -> float:
        """How many pauses of 0.2 s or more a turn holds.

        Of 619 spoken orders 128 held one, of the 269 among them that are at hand 18; callers who
        answer questions hesitate more than people who give orders. Dictation and stories hold many;
        their weights were learnt with one.
        """
        return 1.0 if self.profile is Profile.CONTINUOUS else 1 / 3

    @property
    def cost_s(self) -> float:
        """What one cut-off costs, in seconds of dead air.

        5 s is what Raux and Eskenazi used with live callers. A cut-off "yes" is said again in no
        time; a cut-off number has to be dictated anew.
        """
        if self.cut_off_cost_s is not None:
            return self.cut_off_cost_s
        if self.profile is Profile.CONTINUOUS:
            return 10.0
        return 2.0 if asks_yes_or_no(self.agent_text) else 5.0


PREPARED_S = 0.5
"""Before the longest silence is over, an answer is prepared whatever the odds: it will be given
unless the user goes on, and takes so long on a small machine."""


@dataclass(frozen=True, slots=True)
class Judgement:
    """The sum and what it is made of.

    Attributes:
        log_odds: Natural log-odds that the turn has ended.
        terms: What each kind of evidence adds, by name; they sum to `log_odds`.
        speculate: Log-odds from which an answer is worth preparing unheard.
        commit: Log-odds from which answering beats waiting.
        commit_at_s: Silence at which answering is due if nothing else becomes known.
        is_overdue: Whether it has lasted so long that the sum does not matter.
        is_nearly_overdue: Whether it soon will have.
        is_early: Whether it is so short that the sum does not matter.
    """

    log_odds: float
    terms: Mapping[str, float]
    speculate: float
    commit: float
    commit_at_s: float
    is_overdue: bool = False
    is_nearly_overdue: bool = False
    is_early: bool = False

    @property
    def probability(self) -> float:
        """That the turn has ended."""
        return 1 / (1 + math.exp(-min(max(self.log_odds, -30.0), 30.0)))

    @property
    def speculates(self) -> bool:
        """Whether an answer is worth preparing."""
        return self.is_nearly_overdue or self.log_odds >= self.speculate

    @property
    def commits(self) -> bool:
        """Whether answering beats waiting."""
        return not self.is_early and (self.is_overdue or self.log_odds >= self.commit)


class EndOfTurn:
    """Judges one caller's silences, turn after turn. Pure.

    Told what becomes known as it does; asked at any silence. The same evidence gives the same
    judgement, and a judgement changes nothing.
    """

    def __init__(self, model: Model = FITTED) -> None:
        self._model = model
        self._pace = Pace()
        self._context = Context()
        self.begin()

    @property
    def context(self) -> Context:
        """What the dialogue leads to expect."""
        return self._context

    def begin(self, context: Context | None = None) -> None:
        """A turn begins; the caller's pace is kept.

        Args:
            context: What the dialogue leads to expect; None keeps what was.
        """
        self._context = context or self._context
        self._boundary = boundary("")
        self._length = 0.0
        self._expected = 0.0
        self._at_most_s = math.inf
        self._voice: float | None = None
        self._text = ""
        self._chance: float | None = None

    def heard(self, hypothesis: Hypothesis) -> None:
        """The recogniser's latest text for the turn, settled or not."""
        if without_mark(hypothesis.text) != without_mark(self._text):
            self._chance = None
        self._text = hypothesis.text
        is_answer = self._context.is_answer
        self._boundary = boundary(hypothesis.text, is_answer=is_answer)
        if completeness(hypothesis.text) is Completeness.TRAILING:
            self._boundary = min(self._boundary, TRAILING_AT_MOST)
        # Answers may be of any length; whole questions are as short as the beginning of an order.
        says_nothing = is_answer or is_question(hypothesis.text)
        self._length = 0.0 if says_nothing else length(hypothesis.words)
        self._expected = self._as_expected(hypothesis)
        self._bound()

    def sounded(self, probability: float) -> None:
        """Smart Turn's latest score of this silence; the lowest counts."""
        logit = _logit(probability)
        self._voice = logit if self._voice is None else min(self._voice, logit)

    def read(self, text: str, probability: float) -> None:
        """The language model's chance that `text` is all; means nothing once more was heard.

        Of an answer it says nothing: behind "Seven" or "Yes" it expects a comma. Nor of a number:
        no more than words and voice can it know whether another group of digits follows.
        """
        says_nothing = self._context.is_answer or is_being_dictated(text)
        if text == without_mark(self._text) and not says_nothing:
            self._chance = probability
            self._bound()

    def resumed(self, pause_s: float) -> None:
        """The user speaks on after a pause: its length is learnt, its scores are forgotten."""
        self._pace.paused(pause_s)
        self._voice = None

    def judge(self, silence_s: float) -> Judgement:
        """What is known, summed.

        Args:
            silence_s: Since the user's last speech.
        """
        terms = self._terms(self._voice)
        base = sum(terms.values())
        terms["pause"] = self._weights.pause * surprise(silence_s / self._scale)
        return Judgement(
            log_odds=base + terms["pause"],
            terms=terms,
            speculate=math.log(SPECULATE_ODDS),
            commit=self._commit,
            commit_at_s=self._commit_at_s(base),
            is_overdue=silence_s >= self._at_most_s,
            is_nearly_overdue=silence_s >= self._at_most_s - PREPARED_S,
            is_early=silence_s < EARLIEST_S,
        )

    def wants_prosody(self, silence_s: float) -> bool:
        """Whether a score of the voice asked for now can move the moment of COMMIT.

        It cannot where even the best score leaves COMMIT to a later score, nor where the worst
        leaves it due by now.
        """
        if silence_s > PROSODY_UNTIL_S:
            return False
        highest = _LOGIT_LIMIT if self._voice is None else self._voice
        best = self._commit_at_s(sum(self._terms(highest).values()))
        worst = self._commit_at_s(sum(self._terms(-_LOGIT_LIMIT).values()))
        return silence_s < worst and best < worst

    @property
    def _weights(self) -> Weights:
        if self._context.profile is not Profile.SHORT:
            return self._model.continuous
        return self._model.short if self._chance is None else self._model.read

    @property
    def _scale(self) -> float:
        # Pauses between groups of digits say nothing of the last one, and waiting longer behind
        # it split no fewer numbers (benchmarks/turns.py).
        return self._pace.scale if self._context.profile is Profile.SHORT else 1.0

    @property
    def _commit(self) -> float:
        return math.log(HAZARD * self._context.cost_s)

    def _terms(self, voice: float | None) -> dict[str, float]:
        """All terms but that of the silence itself."""
        weights = self._weights
        language = 0.0 if self._chance is None else _logit(self._chance, _LANGUAGE_LIMIT)
        return {
            "prior": -math.log(self._context.pauses_per_turn),
            "bias": weights.bias,
            "words": weights.words * self._boundary,
            "length": weights.length * self._length,
            "voice": weights.voice * (self._model.unscored if voice is None else voice),
            "language": weights.language * language,
            "context": self._expected,
        }

    def _bound(self) -> None:
        """Say how long the silence behind this text can last."""
        is_free = self._context.profile is Profile.SHORT and self._context.digits is None
        latest_s = at_most_s(self._text, self._boundary, self._chance)
        self._at_most_s = latest_s if is_free else math.inf

    def _commit_at_s(self, base: float) -> float:
        due_s = min(self._silence_for(self._commit - base), self._at_most_s)
        return max(due_s, EARLIEST_S)

    def _silence_for(self, missing: float) -> float:
        if missing <= 0.0:
            return 0.0
        if self._weights.pause <= 0.0:
            return math.inf
        return silence_for(missing / self._weights.pause) * self._scale

    def _as_expected(self, hypothesis: Hypothesis) -> float:
        wanted, words = self._context.digits, hypothesis.words
        written = digits_in(hypothesis.text)
        heard = digits_said(words) if words else written
        if wanted is None or heard == 0:
            return 0.0
        if heard < wanted:
            return self._model.digits_missing
        # The recogniser counts on by itself: how many of them were said is anybody's guess.
        return self._model.digits_complete if heard == written == wanted else 0.0


def asks_yes_or_no(agent_text: str) -> bool:
    """Whether the agent's last sentence is a question that "yes" or "no" answers."""
    text = agent_text.strip().lower()
    if not text.endswith("?"):
        return False
    sentence = _last_sentence(text)
    first = sentence.split(",")[-1].split()[:1]
    return bool(first) and first[0] in _ASKING and " or " not in sentence


def _last_sentence(question: str) -> str:
    return re.split(r"[.!?]", question[:-1])[-1]


_INVITING = re.compile(r"\b(help|assist|do for you|anything else|what else|get you)\b", re.I)

_ASKING = frozenset(
    "is are was were am do does did have has had can could will would shall should may might "
    "isn't aren't don't doesn't didn't can't couldn't won't wouldn't".split()
)


def _logit(probability: float, limit: float = _LOGIT_LIMIT) -> float:
    if not 0.0 < probability < 1.0:
        return limit if probability >= 1.0 else -limit
    logit = math.log(probability / (1 - probability))
    return min(max(logit, -limit), limit)
