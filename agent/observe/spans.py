"""From when to when each stage of a turn was at work. Pure."""

from dataclasses import dataclass

from agent.audio.chunk import seconds
from agent.observe.record import STAGES, TurnRecord

_BEGINS_AT = {
    "recognised": ("speech_end",),
    "speculated": ("speech_end",),
    "decided": ("speech_end",),
    "first_token": ("speculated", "decided"),
    "first_clause": ("first_token",),
    "first_speech": ("first_clause",),
    # What was prepared unheard waits for the decision.
    "first_audio": ("first_speech", "decided"),
    "answer_end": ("first_audio",),
}
"""Stage → marks it waits for: it is at work from the last of them."""

_NAMES = {"speech_end": "speech", "answer_end": "heard"}
"""What lies before a mark, where the mark's name is that of an end."""


@dataclass(frozen=True, slots=True)
class Span:
    """A stretch of time, in seconds since the session began."""

    name: str
    start_s: float
    end_s: float


def spans(record: TurnRecord) -> list[Span]:
    """The turn, and then its stages, each up to its mark; nothing of a turn without marks."""
    marks = record.marks
    if not marks:
        return []
    start_s, end_s = min(marks.values()), max(marks.values())
    if record.speech_start_sample is not None and record.speech_end_sample is not None:
        spoken_s = seconds(record.speech_end_sample - record.speech_start_sample)
        start_s = min(start_s, marks["speech_end"] - spoken_s)
    found = [Span("turn", start_s, end_s)]
    for stage in STAGES:
        if (at := marks.get(stage)) is not None:
            waited = (marks[name] for name in _BEGINS_AT.get(stage, ()) if name in marks)
            # What was done before its usual cause, such as words during speech, took the turn.
            begun_s = max((mark for mark in waited if mark <= at), default=start_s)
            found.append(Span(_NAMES.get(stage, stage), begun_s, at))
    return found
