"""Has the turn ended? One sum of log-odds, two thresholds from a stated cost. Pure.

What silence, words, voice and dialogue say is added up (naive Bayes with fitted weights):

    log-odds = bias + words + voice + context + pause * surprise(silence / the caller's pace)

Each term says by how much it speaks for an end. The rule and the thresholds follow Raux and
Eskenazi 2009: waiting another moment is worth it while the chance of a pause ending in that
moment, times the cost of a cut-off, exceeds the cost of that moment to somebody who has finished.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import Enum

from agent.asr.hypothesis import Hypothesis
from agent.turns.completeness import digits_in, reading
from agent.turns.fitted import FITTED, Weights
from agent.turns.survival import HAZARD, Pace, silence_for, surprise

PREFETCH_FLOOR = 0.17
"""Posterior above which a turn never ends, whatever the sum: somebody may be speaking. For the
policy, which sees the posterior."""

FRESH_PARTIAL_S = 0.12
"""Nor does it end so soon after the text changed: the recogniser is still at work."""

PROSODY_EVERY_S = 0.16
"""Silence between two scores of the voice."""

_LOGIT_LIMIT = 4.0
"""A score nearer to 0 or 1 than 0.018 says no more than that."""

_NEVER_S = math.inf


class Profile(Enum):
    """How the user is going to speak."""

    SHORT = "short"
    """Answers and commands."""

    CONTINUOUS = "continuous"
    """Dictation and open speech: numbers, addresses, spelling, stories."""


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


@dataclass(frozen=True, slots=True)
class Judgement:
    """The sum and what it is made of.

    Attributes:
        log_odds: Natural log-odds that the turn has ended.
        terms: What each kind of evidence adds, by name; they sum to `log_odds`.
        speculate: Log-odds from which an answer is worth preparing unheard.
        commit: Log-odds from which answering beats waiting.
        commit_at_s: Silence at which `commit` is reached if nothing else becomes known.
    """

    log_odds: float
    terms: Mapping[str, float]
    speculate: float
    commit: float
    commit_at_s: float

    @property
    def probability(self) -> float:
        """That the turn has ended."""
        return _probability(self.log_odds)

    @property
    def speculates(self) -> bool:
        """Whether an answer is worth preparing."""
        return self.log_odds >= self.speculate

    @property
    def commits(self) -> bool:
        """Whether answering beats waiting."""
        return self.log_odds >= self.commit


class EndOfTurn:
    """Judges one caller's silences, turn after turn. Pure.

    Told what becomes known as it does; asked at any silence. The same evidence gives the same
    judgement, and a judgement changes nothing.
    """

    def __init__(self, weights: Weights = FITTED) -> None:
        self._weights = weights
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
        self._words_term = self._context_term = 0.0
        self._voice: float | None = None

    def heard(self, hypothesis: Hypothesis) -> None:
        """The recogniser's latest text for the turn, settled or not."""
        found = reading(hypothesis.text, hypothesis.words)
        self._words_term = sum(
            self._weights.words.get(name, 0.0) * value for name, value in found.items()
        )
        self._context_term = self._expected(hypothesis.text)

    def sounded(self, probability: float) -> None:
        """Smart Turn's latest score of this silence."""
        self._voice = _logit(probability)

    def resumed(self, pause_s: float) -> None:
        """The user speaks on after a pause: its length is learnt, its scores are forgotten."""
        self._pace.paused(pause_s)
        self._voice = None

    def judge(self, silence_s: float) -> Judgement:
        """What is known, summed.

        Args:
            silence_s: Since the user's last speech.
        """
        terms = self._fixed(self._voice)
        base = sum(terms.values())
        weights = self._weights
        terms["pause"] = weights.pause * surprise(silence_s / self._scale)
        commit = math.log(HAZARD * self._context.cost_s)
        return Judgement(
            log_odds=base + terms["pause"],
            terms=terms,
            speculate=math.log(weights.speculate_odds),
            commit=commit,
            commit_at_s=self._silence_for(commit - base),
        )

    def wants_prosody(self, silence_s: float) -> bool:
        """Whether a score of the voice asked for now can move the moment of COMMIT.

        It cannot where even the best score leaves COMMIT to a later score, nor where the worst
        leaves it due by now.
        """
        commit = math.log(HAZARD * self._context.cost_s)
        best = self._silence_for(commit - sum(self._fixed(_LOGIT_LIMIT).values()))
        worst = self._silence_for(commit - sum(self._fixed(-_LOGIT_LIMIT).values()))
        return best < silence_s + 2 * PROSODY_EVERY_S and worst > silence_s

    @property
    def _scale(self) -> float:
        slow = self._weights.continuous_scale
        return self._pace.scale * (slow if self._context.profile is Profile.CONTINUOUS else 1.0)

    def _fixed(self, voice: float | None) -> dict[str, float]:
        """All terms but that of the silence itself."""
        weights = self._weights
        return {
            "bias": weights.bias,
            "words": self._words_term,
            "voice": weights.unscored if voice is None else weights.voice * voice,
            "context": self._context_term,
        }

    def _silence_for(self, missing: float) -> float:
        if missing <= 0.0:
            return 0.0
        if self._weights.pause <= 0.0:
            return _NEVER_S
        return silence_for(missing / self._weights.pause) * self._scale

    def _expected(self, text: str) -> float:
        wanted = self._context.digits
        if wanted is None:
            return 0.0
        heard = digits_in(text)
        if heard == 0:
            return 0.0
        return self._weights.digits_missing if heard < wanted else self._weights.digits_complete


def asks_yes_or_no(agent_text: str) -> bool:
    """Whether the agent's last sentence is a question that "yes" or "no" answers."""
    sentence = agent_text.strip().lower()
    if not sentence.endswith("?"):
        return False
    for mark in ".!?":
        sentence = sentence.rstrip("?").rsplit(mark, 1)[-1].strip()
    first = sentence.split(",")[-1].split()[:1]
    return bool(first) and first[0] in _ASKING and " or " not in sentence


_ASKING = frozenset(
    "is are was were am do does did have has had can could will would shall should may might "
    "isn't aren't don't doesn't didn't can't couldn't won't wouldn't".split()
)


def _logit(probability: float) -> float:
    if probability <= 0.0:
        return -_LOGIT_LIMIT
    if probability >= 1.0:
        return _LOGIT_LIMIT
    return min(max(math.log(probability / (1 - probability)), -_LOGIT_LIMIT), _LOGIT_LIMIT)


def _probability(log_odds: float) -> float:
    if log_odds < 0:
        power = math.exp(log_odds)
        return power / (1 + power)
    return 1 / (1 + math.exp(-log_odds))
