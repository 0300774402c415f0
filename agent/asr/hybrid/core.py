"""Two recognisers, one text: exactly one final for every utterance that was finished. Pure.

The edge hears everything, in this process. The cloud hears an utterance in *attempts*: each begins
with the utterance's first sample and ends with one question. It is asked as soon as speech pauses,
so that its answer is mostly there when the turn is decided; if speech goes on, or the attempt
breaks, another attempt hears it all again. An attempt can therefore die at any sample, and no word
is lost or doubled.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from itertools import count

from agent.asr.hybrid.comparison import confidence, hypothesis_of, same_words
from agent.asr.hybrid.events import (
    Answer,
    Ask,
    Begin,
    Cancel,
    Correction,
    Final,
    Mode,
    Order,
    Outcome,
    Side,
    Tentative,
)
from agent.asr.hybrid.health import CloudHealth
from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import samples


@dataclass(frozen=True, slots=True)
class HybridSettings:
    """How the two sides share the work."""

    mode: Mode = Mode.EDGE

    cloud_below: float | None = None
    """Ask the cloud only where the edge is less sure of its text than this, in [0, 1]. None: ask
    always."""

    answer_s: float = 3.0
    """An answer this late is given up, and counts as a failure."""

    early_s: float = 15.0
    """Speech up to which the cloud is asked at every pause. Each pause that was none costs sending
    the utterance again; for long ones that is more than the time it saves is worth."""

    retry_s: float = 0.25
    """Before an attempt after one that failed, times the failures in this utterance before it."""

    give_up_s: float = 8.0
    """Without an edge: how long after the turn's end the cloud's text is waited for."""

    trusted: float = 0.5
    """An edge text at least this sure is not overruled by a cloud that heard nothing: transducers
    now and then answer a short utterance with an empty text."""


@dataclass(slots=True)
class _Attempt:
    """The cloud hears an utterance once. Times in seconds; none are set before it is asked."""

    number: int
    asked_s: float | None = None
    late_at_s: float | None = None
    lost_at_s: float | None = None


@dataclass(slots=True)
class _Utterance:
    """Everything known of one utterance. Times in seconds, lengths in samples."""

    id: int
    start: int
    is_private: bool
    length: int = 0
    speech_end: int = 0
    is_speaking: bool = False
    is_confirmed: bool = False
    attempt: _Attempt | None = None
    broken: int = 0
    retry_at_s: float | None = None
    answer: Answer | None = None
    edge: Hypothesis | None = None
    over_s: float | None = None
    wait_until_s: float = 0.0
    final: Hypothesis | None = None


class HybridCore:
    """Decides which side's text is used, and when. Pure: seconds arrive as arguments.

    Methods leave orders for the connections and outcomes for the pipeline; whoever calls one takes
    both with `take`.
    """

    def __init__(self, settings: HybridSettings, health: CloudHealth) -> None:
        self._settings = settings
        self._health = health
        self._has_edge = settings.mode is not Mode.CLOUD
        self._utterances: dict[int, _Utterance] = {}
        self._current: _Utterance | None = None
        self._attempts: dict[int, _Utterance] = {}
        self._numbers: Iterator[int] = count(1)
        self._orders: list[Order] = []
        self._outcomes: list[Outcome] = []

    def take(self) -> tuple[list[Order], list[Outcome]]:
        """Take what is to be done and what is to be told, in order."""
        taken = self._orders, self._outcomes
        self._orders, self._outcomes = [], []
        return taken

    @property
    def due_s(self) -> float | None:
        """When `advance` must be called at the latest; None while nothing is waited for."""
        return min((at for u in self._utterances.values() for at in self._dues(u)), default=None)

    def open(self, utterance_id: int, start_sample: int, *, is_private: bool = False) -> None:
        """Begin an utterance whose first sample stands at `start_sample`; it is the current one."""
        self._current = _Utterance(utterance_id, start_sample, is_private)
        self._utterances[utterance_id] = self._current

    def heard(self, length: int, is_speech: bool, now_s: float) -> None:
        """Note that the current utterance has grown by `length` samples."""
        u = self._current
        if u is None:
            return
        u.length += length
        if is_speech:
            u.speech_end, u.is_speaking = u.length, True
            self._hear_more(u, now_s)
        elif u.is_speaking:
            u.is_speaking = False
            if u.attempt and self._may_ask(u):
                self._ask(u.attempt, now_s)

    def confirm(self, now_s: float) -> None:
        """Note that the current utterance is speech: only now may it leave the machine."""
        u = self._current
        if u is None or u.is_confirmed:
            return
        u.is_confirmed = True
        if self._settings.cloud_below is None:
            self._begin(u, now_s)

    def withhold(self, now_s: float) -> None:
        """Send nothing more of the current utterance, and use nothing the cloud said of it."""
        if u := self._current:
            u.is_private = True
            u.answer = None
            self._cancel(u, now_s)

    def drop(self, now_s: float) -> None:
        """Forget the current utterance: it was noise, and has no final."""
        if u := self._current:
            self._current = None
            self._cancel(u, now_s)
            del self._utterances[u.id]

    def finish(self, now_s: float) -> None:
        """End the current utterance: its final is wanted."""
        u = self._current
        if u is None:
            return
        self._current = None
        u.over_s = now_s
        u.is_speaking = False
        if u.attempt and u.attempt.asked_s is None:
            self._ask(u.attempt, now_s)
        self._set_wait(u, now_s)
        self._conclude(u, now_s)

    def is_kept(self, utterance_id: int) -> bool:
        """Whether an utterance's audio may still be needed."""
        return utterance_id in self._utterances

    def edge_said(self, hypothesis: Hypothesis, now_s: float, *, is_complete: bool = False) -> None:
        """Take the edge's text for any utterance.

        Args:
            hypothesis: Tentative or final.
            now_s: The time.
            is_complete: Whether a tentative one was made of all audio there was.
        """
        u = self._utterances.get(hypothesis.utterance_id)
        if u is None or u.final is not None:
            return
        u.edge = hypothesis
        if self._is_doubtful(u, hypothesis):
            self._begin(u, now_s)
            self._set_wait(u, now_s)
        if u.over_s is not None:
            self._conclude(u, now_s)
        else:
            self._outcomes.append(Tentative(hypothesis, Side.EDGE, is_complete))

    def answered(self, attempt: int, answer: Answer, now_s: float) -> None:
        """Take the cloud's text."""
        u = self._attempts.get(attempt)
        if u is None or u.attempt is None or u.attempt.asked_s is None:
            # Nobody asked: the attempt goes on, and is asked when its time comes.
            return
        del self._attempts[attempt]
        self._health.answered(now_s - u.attempt.asked_s, now_s)
        u.attempt = None
        if u.final is not None:
            self._correct(u, u.final, answer)
            del self._utterances[u.id]
            return
        if not self._is_empty_by_mistake(u, answer):
            u.answer = answer
        if u.over_s is not None:
            self._conclude(u, now_s)
        elif u.answer and not self._has_edge:
            # Beside an edge, whose text has started a speculation, it waits for the turn's end:
            # there it confirms the speculation or redoes it, once.
            shown = replace(self._hypothesis(u, answer), is_final=False)
            self._outcomes.append(Tentative(shown, Side.CLOUD, True))

    def failed(self, attempt: int, reason: str, now_s: float, *, is_refused: bool = False) -> None:
        """Note that an attempt broke.

        Args:
            attempt: As ordered.
            reason: A few words without variable parts; counted by them.
            now_s: The time.
            is_refused: The server is well, but will not take this audio: do not ask again.
        """
        u = self._attempts.pop(attempt, None)
        if u is None:
            return
        u.attempt = None
        if is_refused:
            u.is_private = True
        else:
            self._health.failed(now_s, reason)
            u.broken += 1
        if u.final is not None:
            del self._utterances[u.id]
            return
        if not is_refused and not (u.over_s is not None and self._has_edge):
            # At once, for a lost connection; later, where the server looks ill.
            u.retry_at_s = now_s + (u.broken - 1) * self._settings.retry_s
        self._move(u, now_s)

    def advance(self, now_s: float) -> None:
        """Let happen what is due."""
        for u in list(self._utterances.values()):
            self._move(u, now_s)

    def _move(self, u: _Utterance, now_s: float) -> None:
        if u.retry_at_s is not None and u.retry_at_s <= now_s:
            u.retry_at_s = None
            self._begin(u, now_s)
        if (attempt := u.attempt) and attempt.late_at_s is not None:
            if attempt.late_at_s <= now_s:
                attempt.late_at_s = None
                self._health.patience.late()
        elif attempt and attempt.lost_at_s is not None and attempt.lost_at_s <= now_s:
            self._orders.append(Cancel(attempt.number))
            self.failed(attempt.number, "no answer in time", now_s)
        self._conclude(u, now_s)

    def _dues(self, u: _Utterance) -> Iterator[float]:
        if u.retry_at_s is not None:
            yield u.retry_at_s
        if u.attempt and u.attempt.late_at_s is not None:
            yield u.attempt.late_at_s
        elif u.attempt and u.attempt.lost_at_s is not None:
            yield u.attempt.lost_at_s
        if u.over_s is None or u.final is not None:
            return
        if not self._has_edge:
            yield u.over_s + self._settings.give_up_s
        elif u.edge and u.edge.is_final:
            yield u.wait_until_s

    def _hear_more(self, u: _Utterance, now_s: float) -> None:
        """Void a question that was asked in a pause: more was to come."""
        is_asked = u.attempt is not None and u.attempt.asked_s is not None
        if not is_asked and u.answer is None:
            return
        u.answer = None
        self._cancel(u, now_s)
        if self._settings.cloud_below is None:
            self._begin(u, now_s)

    def _begin(self, u: _Utterance, now_s: float) -> None:
        settings = self._settings
        if settings.mode is Mode.EDGE or u.is_private or not u.is_confirmed or u.attempt:
            return
        if not self._health.is_usable:
            if not self._has_edge:
                u.retry_at_s = now_s + settings.retry_s
            return
        u.attempt = _Attempt(next(self._numbers))
        self._attempts[u.attempt.number] = u
        self._orders.append(Begin(u.attempt.number, u.id))
        if u.speech_end and not u.is_speaking and self._may_ask(u):
            self._ask(u.attempt, now_s)

    def _may_ask(self, u: _Utterance) -> bool:
        return u.over_s is not None or u.length <= samples(self._settings.early_s)

    def _ask(self, attempt: _Attempt, now_s: float) -> None:
        if attempt.asked_s is not None:
            return
        attempt.asked_s = now_s
        attempt.late_at_s = now_s + self._health.patience.longest_s
        attempt.lost_at_s = now_s + self._settings.answer_s
        self._orders.append(Ask(attempt.number))

    def _cancel(self, u: _Utterance, now_s: float) -> None:
        u.retry_at_s = None
        if attempt := u.attempt:
            if attempt.late_at_s is not None and attempt.late_at_s <= now_s:
                self._health.patience.late()
            del self._attempts[attempt.number]
            u.attempt = None
            self._orders.append(Cancel(attempt.number))

    def _set_wait(self, u: _Utterance, now_s: float) -> None:
        if u.over_s is None:
            return
        asked_s = u.attempt.asked_s if u.attempt else None
        is_race = self._settings.mode is Mode.RACE
        wait_s = 0.0 if is_race else self._health.patience.wait_s
        u.wait_until_s = max(now_s, (now_s if asked_s is None else asked_s) + wait_s)

    def _conclude(self, u: _Utterance, now_s: float) -> None:
        """Give the final, once there is nothing better worth waiting for."""
        if u.over_s is None or u.final is not None:
            return
        if u.answer:
            self._give(u, self._hypothesis(u, u.answer), Side.CLOUD, "answered in time")
        elif not self._has_edge:
            is_hopeless = u.attempt is None and u.retry_at_s is None
            if is_hopeless or now_s >= u.over_s + self._settings.give_up_s:
                self._give(u, self._hypothesis(u, Answer("")), Side.CLOUD, "the cloud is lost")
                self._cancel(u, now_s)
        elif u.edge and u.edge.is_final and (u.attempt is None or now_s >= u.wait_until_s):
            self._give(u, u.edge, Side.EDGE, self._why_edge(u))
        if u.final is not None and u.attempt is None:
            del self._utterances[u.id]

    def _give(self, u: _Utterance, final: Hypothesis, side: Side, reason: str) -> None:
        u.final = final
        u.retry_at_s = None
        self._health.counts.finals[side] += 1
        self._outcomes.append(Final(final, side, reason))

    def _why_edge(self, u: _Utterance) -> str:
        if self._settings.mode is Mode.EDGE:
            return "the edge alone"
        if u.attempt is not None:
            return "the cloud had not answered"
        if u.broken:
            return "the cloud broke off"
        if u.is_private:
            return "private"
        if not self._health.is_usable:
            return "the cloud is left"
        return (
            "the edge is sure"
            if self._settings.cloud_below is not None
            else "the cloud heard nothing"
        )

    def _correct(self, u: _Utterance, final: Hypothesis, answer: Answer) -> None:
        if not answer.text or same_words(answer.text, final.text):
            return
        self._health.counts.corrections += 1
        self._outcomes.append(Correction(self._hypothesis(u, answer), final.text))

    def _is_doubtful(self, u: _Utterance, hypothesis: Hypothesis) -> bool:
        """Whether the edge has read all that was said and is not sure of it."""
        below = self._settings.cloud_below
        if below is None or u.attempt or u.answer or u.is_speaking:
            return False
        return hypothesis.end_sample >= u.start + u.speech_end and confidence(hypothesis) < below

    def _is_empty_by_mistake(self, u: _Utterance, answer: Answer) -> bool:
        if answer.text or u.edge is None:
            return False
        return confidence(u.edge) >= self._settings.trusted

    def _hypothesis(self, u: _Utterance, answer: Answer) -> Hypothesis:
        return hypothesis_of(answer, u.id, u.start, u.speech_end or u.length, u.length)
