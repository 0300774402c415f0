"""One record per turn: what was heard, what was answered, and when each stage began and ended."""

import time
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import seconds
from agent.observe.hidden import Hidden
from agent.observe.lateness import Lateness
from agent.observe.mask import without_cards

Clock = Callable[[], float]

STAGES = (
    "speech_end",
    "recognised",
    "speculated",
    "decided",
    "first_token",
    "first_clause",
    "first_speech",
    "first_audio",
    "answer_end",
)
"""Marks of a turn in the order they usually come. All are seconds since the session began;
``speech_end`` is when the last audible sample of the user's speech arrived, ``first_audio`` when
the first audible one of the answer was given to the transport."""

_DECISIONS_KEPT = 4096
"""The last hours of a session; it may run for days."""

_RECENT_S = 1.0
"""How long before the end of speech a stage may be reached, by clocks that only nearly agree."""

_OF_THE_ANSWER = ("first_token", "first_clause", "first_speech")


@dataclass(slots=True)
class TurnRecord:
    """One turn.

    Attributes:
        turn: Counts from 1; 0 is the greeting.
        speech_start_sample: On the media clock (16 kHz).
        speech_end_sample: Likewise, just after the last that could be heard of the user's speech.
        heard: What the user was heard to say, and was answered.
        corrected: What they said by a better text that came after that; empty where none did.
        answered: The agent's words that were heard.
        interrupted: Whether the user cut the answer.
        decision: Kind, reason and figures of the decision that ended the turn.
        marks: Seconds since the session began, by stage.
        model_calls: Answers the language model was asked for, drafts that were withdrawn included.
    """

    turn: int
    speech_start_sample: int | None = None
    speech_end_sample: int | None = None
    heard: str = ""
    corrected: str = ""
    answered: str = ""
    interrupted: bool = False
    decision: dict[str, Any] = field(default_factory=dict)
    marks: dict[str, float] = field(default_factory=dict)
    model_calls: int = 0

    def stages(self) -> dict[str, float]:
        """How long after the user's last sample each mark came, in seconds."""
        start = self.marks.get("speech_end")
        if start is None:
            return {}
        names = [name for name in STAGES if name != "speech_end" and name in self.marks]
        spans = {f"{name}_s": round(self.marks[name] - start, 3) for name in names}
        if "first_audio" in self.marks:
            spans["voice_to_voice_s"] = spans["first_audio_s"]
        return spans

    def as_json(self) -> dict[str, Any]:
        """The record as plain values."""
        return {
            "turn": self.turn,
            "heard": self.heard,
            "corrected": self.corrected,
            "answered": self.answered,
            "interrupted": self.interrupted,
            "speech_start_sample": self.speech_start_sample,
            "speech_end_sample": self.speech_end_sample,
            "decision": self.decision,
            "marks_s": {name: round(at, 3) for name, at in self.marks.items()},
            "stages": self.stages(),
            "model_calls": self.model_calls,
        }


@dataclass(frozen=True, slots=True)
class HopRecord:
    """What was known and weighed at one hop.

    Attributes:
        at_sample: Just after it, on the media clock (16 kHz).
        probability: The speech posterior, of the caller's speech.
        floor: Who held the floor.
        log_odds: That the user's turn has ended; None while nothing was judged.
        commit: Log-odds at which it would have been answered.
        behind: The posterior of speech that was taken for somebody else's; None where there was
            none.
    """

    at_sample: int
    probability: float
    floor: str
    log_odds: float | None = None
    commit: float | None = None
    behind: float | None = None


class TurnRecorder:
    """Collects the marks of a session's turns from the processors that pass them."""

    def __init__(self, clock: Clock = time.monotonic) -> None:
        self._clock = clock
        self._origin = clock()
        self._anchor: tuple[int, float] | None = None
        self.turns: list[TurnRecord] = [TurnRecord(turn=0)]
        self.decisions: deque[dict[str, Any]] = deque(maxlen=_DECISIONS_KEPT)
        """About the floor, as sent to the client: when, what, why, and on what figures."""
        self.watch_hops: Callable[[HopRecord], None] | None = None
        """Told of every hop, for those who draw or store what was weighed."""
        self.watch_words: Callable[[Hypothesis], None] | None = None
        """Told of every hypothesis."""
        self.hidden = Hidden()
        """Decides what of the user's words anybody may see."""
        self.watch_lateness: Callable[[float], None] | None = None
        """Told of every packet of speech how many seconds late it left."""
        self.watch_failover: Callable[[str], None] | None = None
        """Told which part failed when another, or an apology, stood in for it."""
        self.watch_turns: Callable[[TurnRecord], None] | None = None
        """Told of each turn as the next one begins, when nothing can be added to it."""
        self._lateness = Lateness()
        self._draft: dict[str, float] = {}
        self._drafts = 0

    @property
    def current(self) -> TurnRecord:
        """The turn that is being answered, or was last."""
        return self.turns[-1]

    def now_s(self) -> float:
        """Seconds since the session began."""
        return self._clock() - self._origin

    def heard_audio(self, end_sample: int) -> None:
        """Tie the media clock to this one: `end_sample` has just arrived."""
        self._anchor = (end_sample, self.now_s())

    def at_sample(self, sample: int) -> float:
        """When `sample` of the media clock arrived, in seconds since the session began."""
        if self._anchor is None:
            return 0.0
        anchor_sample, anchor_s = self._anchor
        return anchor_s - seconds(anchor_sample - sample)

    def packet_left(self, length_s: float) -> None:
        """A packet of speech was taken by the transport."""
        late_s = self._lateness.push(self._clock(), length_s)
        if self.watch_lateness:
            self.watch_lateness(late_s)

    def speech_paused(self) -> None:
        """No packet is due for a while."""
        self._lateness.restart()

    def failed_over(self, part: str) -> None:
        """A part failed, and another or an apology stands in for it."""
        if self.watch_failover:
            self.watch_failover(part)

    def draft(self, name: str) -> None:
        """Mark a stage of a turn that is not decided yet; the last such mark counts."""
        self._draft[name] = self.now_s()

    def asked(self, *, draft: bool) -> None:
        """The language model was asked for an answer, or for a draft of one."""
        if not draft:
            self.current.model_calls += 1
            return
        self._drafts += 1
        # However far an earlier draft had come.
        self._forget_answer()

    def begin(self, *, text: str, start: int | None, end: int, decision: dict[str, Any]) -> None:
        """A turn was committed."""
        record = TurnRecord(
            turn=len(self.turns),
            heard=without_cards(text),
            speech_start_sample=start,
            speech_end_sample=end,
            decision=decision,
        )
        if not self._drafts:
            # Of an answer before, whose last words came while it was being decided.
            self._forget_answer()
        speech_end_s = self.at_sample(end)
        # Older ones are of sound that became no turn.
        recent = {name: at for name, at in self._draft.items() if at > speech_end_s - _RECENT_S}
        record.marks = {"speech_end": speech_end_s, **recent, "decided": self.now_s()}
        record.model_calls = self._drafts
        self._draft, self._drafts = {}, 0
        if self.watch_turns:
            self.watch_turns(self.current)
        self.turns.append(record)

    def correct(self, text: str) -> None:
        """A better text for the turn that is being answered, or was last."""
        self.current.corrected = without_cards(text)

    def mark(self, name: str, *, draft: bool = False, in_s: float = 0.0) -> None:
        """Mark a stage; only the first time counts.

        Args:
            name: One of `STAGES`.
            draft: Whether it belongs to the turn that is not decided yet, not to the current one.
            in_s: How long from now the stage is reached.
        """
        marks = self._draft if draft else self.current.marks
        marks.setdefault(name, self.now_s() + in_s)

    def _forget_answer(self) -> None:
        for name in _OF_THE_ANSWER:
            self._draft.pop(name, None)
