"""What a turn policy was told and what it decided, as lines of JSON, and told again. Pure."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict
from typing import Any

from agent.asr.hypothesis import Hypothesis, Word
from agent.turns.events import (
    AgentFloor,
    Decision,
    EndRequested,
    Evidence,
    Expectation,
    Heard,
    Prosody,
    SpeechProbability,
    TurnLost,
    TurnPolicy,
    Wording,
)

_KINDS: Mapping[str, Callable[..., Evidence]] = {
    kind.__name__: kind
    for kind in (
        AgentFloor,
        EndRequested,
        Expectation,
        Heard,
        Prosody,
        SpeechProbability,
        TurnLost,
        Wording,
    )
}


class JournalledPolicy:
    """A policy whose evidence and decisions are written down as they come.

    Whatever else the policy can be asked is asked of it.
    """

    def __init__(self, policy: TurnPolicy, write: Callable[[str], None]) -> None:
        self._policy = policy
        self._write = write

    def __getattr__(self, name: str) -> Any:
        return getattr(self._policy, name)

    @property
    def user_is_speaking(self) -> bool:
        """Of the policy within."""
        return self._policy.user_is_speaking

    @property
    def wants_prosody(self) -> bool:
        """Of the policy within."""
        return self._policy.wants_prosody

    def push(self, evidence: Evidence) -> list[Decision]:
        """Take one piece of evidence."""
        told = _line({"is": type(evidence).__name__, **asdict(evidence)})
        # As it will be read: NumPy's short numbers add up otherwise than Python's.
        decisions = self._policy.push(_evidence(json.loads(told)))
        followed = [_decided(decision) for decision in decisions]
        self._write(f'{{"told":{told},"decided":{_line(followed)}}}')
        return decisions


def _line(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, default=_plain, separators=(",", ":"))


def again(lines: Iterable[str], policy: TurnPolicy) -> Iterable[tuple[Any, Any]]:
    """Tell a policy everything again.

    Yields:
        What was decided then and what is decided now, wherever either is anything.
    """
    for text in lines:
        entry = json.loads(text)
        now = [_decided(decision) for decision in policy.push(_evidence(entry["told"]))]
        if (then := entry["decided"]) or now:
            yield then, json.loads(_line(now))


def _evidence(told: dict[str, Any]) -> Evidence:
    fields = dict(told)
    kind = fields.pop("is")
    if kind == "Heard":
        heard = fields["hypothesis"]
        words = tuple(Word(**word) for word in heard["words"])
        unfinished = Word(**word) if (word := heard.get("unfinished")) else None
        fields["hypothesis"] = Hypothesis(**{**heard, "words": words, "unfinished": unfinished})
    return _KINDS[kind](**fields)


def _decided(decision: Decision) -> dict[str, Any]:
    return {**asdict(decision), "kind": decision.kind.value}


def _plain(value: Any) -> Any:
    """NumPy's numbers as Python's."""
    return value.item()
