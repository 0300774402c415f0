"""The score card of one conversation, read off the two tracks and the context. Pure."""

import json
import re
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from agent.eval import memory
from agent.eval.caller import Call, Said
from agent.eval.scenario import Limits
from agent.turns.sounds import distance

_STOPS_WITHIN_S = 4.0
"""An agent that speaks on for longer over an interruption has not stopped."""

_PAUSES_WITHIN_S = 0.5
"""After a nod. A silence that begins later has another reason: the answer is over."""

_RESUMES_WITHIN_S = 3.0
"""A silence after a nod that lasts longer is no pause."""

_BEFORE_S = 0.15
"""An onset so soon after the caller began was under way already: nobody reacts faster."""

_OWN_WORDS = 0.5
"""Share of a turn's words that the caller must have said somewhere, for it to be no ghost."""

_METRICS = (
    "voice_to_voice_p50_s",
    "voice_to_voice_p90_s",
    "stop_p90_s",
    "resume_p90_s",
    "wer",
    "context_errors",
    "cut_offs",
    "false_barge_ins",
    "ghost_turns",
    "unanswered",
    "unsaid",
)


@dataclass
class Card:
    """What a conversation was like. Seconds and counts; None where nothing could be measured.

    Attributes:
        turns: Turns of the caller that wanted an answer.
        voice_to_voice_s: From the caller's last audible sample to the agent's first, each.
        cut_offs: Turns into which the agent spoke before they were over.
        stop_s: From an interruption's first sample to the agent's last, each.
        interruptions: How many there were; those without a time above did not stop it.
        false_barge_ins: Backchannels and noises that cost the answer.
        overlaps: How many there were.
        resume_s: From such a sound's end until the agent went on, where it had paused.
        unanswered: Turns without an answer.
        unsaid: Lines whose moment never came.
        ghost_turns: Turns in the context that nobody spoke.
        wer: Word error rate of the caller's turns in the context.
        context_errors: Words the context has and nobody heard, or was heard and it has not.
        heard_words: Of the agent, in all.
        tool_calls: Calls in the context.
        tools_without_one_result: Those that have none, or several.
        failures: Expectations that were not met, in words.
        verdicts: Of the judge, by criterion; None where it gave none.
    """

    turns: int = 0
    voice_to_voice_s: list[float] = field(default_factory=list)
    cut_offs: int = 0
    stop_s: list[float] = field(default_factory=list)
    interruptions: int = 0
    false_barge_ins: int = 0
    overlaps: int = 0
    resume_s: list[float] = field(default_factory=list)
    unanswered: int = 0
    unsaid: int = 0
    ghost_turns: int = 0
    wer: float | None = None
    context_errors: int = 0
    heard_words: int = 0
    tool_calls: int = 0
    tools_without_one_result: int = 0
    failures: list[str] = field(default_factory=list)
    verdicts: dict[str, bool | None] = field(default_factory=dict)

    def figures(self) -> dict[str, Any]:
        """The card as plain values, with quantiles."""
        plain = asdict(self)
        for name in ("voice_to_voice_s", "stop_s", "resume_s"):
            values = plain.pop(name)
            stem = name.removesuffix("_s")
            plain[f"{stem}_p50_s"] = _quantile(values, 0.5)
            plain[f"{stem}_p90_s"] = _quantile(values, 0.9)
        return plain

    def exceeded(self, limits: Limits) -> list[str]:
        """Return what is worse than it may be, in words; empty is a pass."""
        figures = self.figures()
        over = []
        for name in _METRICS:
            limit, value = getattr(limits, name), figures[name]
            if limit is not None and value is not None and value > limit:
                over.append(f"{name} is {value}, at most {limit} is allowed")
        told = {False: "the judge denies", None: "the judge gave no verdict"}
        denied = [f"{told[held]}: {text}" for text, held in self.verdicts.items() if not held]
        return [*over, *self.failures, *denied]


def score(call: Call) -> Card:
    """Judge a conversation."""
    card = Card()
    for number, said in enumerate(call.said):
        if not said.was_said:
            card.unsaid += 1
            card.failures.append(f"line {number + 1} was never said: its moment did not come")
        elif said.line.is_turn:
            _turn(card, call, number, said)
        else:
            _overlap(card, call, said)
    _memory(card, call)
    return card


def _turn(card: Card, call: Call, number: int, said: Said) -> None:
    card.turns += 1
    onsets = [start for start, _ in call.spoke]
    if said.over_agent:
        card.interruptions += 1
        stopped = _stop(call, said.start_s)
        if stopped is not None and stopped - said.start_s <= _STOPS_WITHIN_S:
            card.stop_s.append(round(max(0.0, stopped - said.start_s), 3))
    elif any(said.start_s + _BEFORE_S < onset < said.end_s for onset in onsets):
        card.cut_offs += 1
    following = _next_start(call, number)
    answers = [onset for onset in onsets if said.start_s + _BEFORE_S < onset < following]
    if not answers:
        card.unanswered += 1
    after = [onset for onset in answers if onset >= said.end_s]
    if (after and after[0] == answers[0]) or (said.over_agent and after):
        card.voice_to_voice_s.append(round(after[0] - said.end_s, 3))
    _expected(card, call, number, said, following)


def _overlap(card: Card, call: Call, said: Said) -> None:
    """A nod, a cough: the agent may pause, and must go on where it stopped."""
    stopped = _stop(call, said.start_s) if said.over_agent else None
    before = [word for word in call.words if stopped is not None and word.start_s < stopped]
    if stopped is None or not before:
        return
    card.overlaps += 1
    last = before[-1].number
    following = next((word for word in call.words if word.number > last), None)
    # One word may hide from our ears, where a pause cuts it in two.
    if following is None or following.number > last + 2:
        card.false_barge_ins += last + 1 < call.made
        return
    onsets = [start for start, _ in call.spoke if start > stopped]
    paused = stopped < said.end_s + _PAUSES_WITHIN_S
    if paused and onsets and onsets[0] - stopped < _RESUMES_WITHIN_S:
        card.resume_s.append(round(max(0.0, onsets[0] - said.end_s), 3))


def _stop(call: Call, since_s: float) -> float | None:
    """When the agent falls silent that sounded at `since_s`."""
    ends = [end for start, end in call.spoke if start <= since_s + 0.1 and end >= since_s - 0.3]
    return ends[-1] if ends else None


def _next_start(call: Call, number: int) -> float:
    later = (said for said in call.said[number + 1 :] if said.was_said and said.line.is_turn)
    return next((said.start_s for said in later), float("inf"))


def _expected(card: Card, call: Call, number: int, said: Said, following: float) -> None:
    """Check what a line says must come of it."""
    heard = " ".join(w.text for w in call.words if said.start_s <= w.start_s < following)
    where = f"line {number + 1} ({said.text[:40]!r})"
    if said.line.answer and not re.search(said.line.answer, heard, re.I):
        card.failures.append(f"{where}: the answer was {heard!r}, without {said.line.answer!r}")
    later = [other.messages for other in call.said[number + 1 :] if other.was_said]
    new = call.messages[said.messages : later[0] + 2 if later else None]
    made = list(memory.calls(new).values())
    for name, wanted in said.line.tool.items():
        fits = any(
            tool == name and wanted.items() <= _arguments(given).items() for tool, given in made
        )
        if not fits:
            told = ", ".join(f"{tool}({given})" for tool, given in made) or "none"
            card.failures.append(f"{where}: {name}({wanted}) was not called; calls: {told}")


def _arguments(given: str) -> dict[str, Any]:
    try:
        arguments = json.loads(given)
    except ValueError:
        return {}
    return arguments if isinstance(arguments, dict) else {}


def _memory(card: Card, call: Call) -> None:
    """Compare what is remembered with what was said and heard."""
    turns = memory.said(call.messages, "user")
    spoken = [words(said.text) for said in call.said if said.was_said and said.text]
    everything = {word for said in spoken for word in said}
    for turn in turns:
        told = words(turn)
        own = sum(word in everything for word in told)
        card.ghost_turns += bool(told) and own / len(told) < _OWN_WORDS
    meant = [w for s in call.said if s.was_said and s.line.is_turn for w in words(s.text)]
    understood = [word for turn in turns for word in words(turn)]
    if meant:
        card.wer = round(distance(meant, understood) / len(meant), 3)
    heard = [word for each in call.words for word in words(each.text)]
    remembered = [word for text in memory.said(call.messages) for word in words(text)]
    card.heard_words = len(heard)
    card.context_errors = distance(heard, remembered)
    found = memory.results(call.messages)
    card.tool_calls = len(found)
    card.tools_without_one_result = sum(len(results) != 1 for results in found.values())
    if card.tools_without_one_result:
        card.failures.append(f"{card.tools_without_one_result} tool calls lack their one result")


_NUMBERS = "zero one two three four five six seven eight nine".split()


def words(text: str) -> list[str]:
    """Bring text to the words that are spoken: no case, no punctuation, digits one by one."""
    spelled = re.sub(r"\d", lambda digit: f" {_NUMBERS[int(digit[0])]} ", text.lower())
    spelled = spelled.replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")
    return re.sub(r"[^a-z' ]", " ", spelled).split()


def _quantile(values: Sequence[float], share: float) -> float | None:
    if not values:
        return None
    if len(values) == 1:
        return values[0]
    cuts = statistics.quantiles(values, n=100, method="inclusive")
    return round(cuts[round(100 * share) - 1], 3)
