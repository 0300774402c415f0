"""`duplex explain`: why each turn of a recording was decided."""

from collections.abc import Sequence
from pathlib import Path

from agent.audio.chunk import seconds
from agent.errors import SettingsError
from agent.observe.picture import Evidence, picture
from agent.observe.record import TurnRecord
from agent.replay import read, run
from agent.settings import Settings

_BEFORE_S, _AFTER_S = 0.3, 0.7


def explain(settings: Settings, recording: Path, out: Path, turn: int | None) -> int:
    """Replay a recording and draw its turns.

    Args:
        settings: Every knob.
        recording: Any audio file.
        out: The SVG to write.
        turn: Which turn; None draws them all.

    Raises:
        SettingsError: There is no such turn.
    """
    evidence = Evidence()
    recorder = run(settings, read(recording), watch=evidence.watch).recorder
    turns = [record for record in recorder.turns if record.turn and turn in (None, record.turn)]
    if not turns and turn is not None:
        raise SettingsError(f"there is no turn {turn}: {len(recorder.turns) - 1} were answered")
    span = _span(turns, evidence)
    out.write_text(picture(evidence, list(recorder.decisions), span), encoding="utf-8")
    for decision in recorder.decisions:
        if span[0] <= decision["at_s"] <= span[1]:
            print(f"{decision['at_s']:8.2f} s  {decision['kind']:12} {decision['reason']}")
    return 0


def _span(turns: Sequence[TurnRecord], evidence: Evidence) -> tuple[float, float]:
    if not turns:
        last = evidence.hops[-1].at_sample if evidence.hops else 0
        return 0.0, seconds(last)
    starts = [turn.speech_start_sample or 0 for turn in turns]
    ends = [turn.marks["decided"] for turn in turns]
    return max(0.0, seconds(min(starts)) - _BEFORE_S), max(ends) + _AFTER_S
