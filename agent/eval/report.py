"""The report: scores side by side, and each conversation on a time line. One HTML file. Pure.

Nothing is loaded from anywhere: pictures are SVG in the page, sound is in it as well.
"""

import base64
import io
import wave
from collections.abc import Sequence
from html import escape
from typing import TYPE_CHECKING

import numpy as np

from agent.audio.chunk import SAMPLE_RATE, Int16Array
from agent.audio.resample import resample
from agent.eval.caller import Call, Said

if TYPE_CHECKING:
    from agent.eval.bench import Outcome

_ROWS = (
    ("voice_to_voice_p50_s", "voice to voice, p50 (s)"),
    ("voice_to_voice_p90_s", "voice to voice, p90 (s)"),
    ("cut_offs", "cut-offs"),
    ("false_barge_ins", "false barge-ins"),
    ("overlaps", "of nods and noises"),
    ("stop_p50_s", "stop when interrupted, p50 (s)"),
    ("stop_p90_s", "stop when interrupted, p90 (s)"),
    ("resume_p50_s", "resume after a nod, p50 (s)"),
    ("resume_p90_s", "resume after a nod, p90 (s)"),
    ("context_errors", "words wrong in the context"),
    ("heard_words", "of words heard"),
    ("ghost_turns", "ghost turns"),
    ("unanswered", "unanswered turns"),
    ("turns", "of turns"),
    ("wer", "word error rate"),
    ("tool_calls", "tool calls"),
    ("tools_without_one_result", "without one result"),
)

_SECOND, _LEFT = 80, 70
_LANE, _TOP = 90, 46
_AUDIO_RATE = 8_000

_STYLE = """
body{font:14px/1.5 system-ui,sans-serif;margin:2rem;color:#222;background:#fff}
table{border-collapse:collapse;margin:1rem 0}td,th{padding:.2rem .8rem;text-align:right;
border-bottom:1px solid #e3e6ea}td:first-child,th:first-child{text-align:left}
.line{overflow-x:auto;border:1px solid #e3e6ea}.bad{color:#b00020}.good{color:#1b7f3b}
audio{width:100%;margin:.4rem 0}
"""


def table(outcomes: Sequence["Outcome"]) -> str:
    """The scores as text, a column for each conversation."""
    heads = [f"{outcome.scenario.name}: {outcome.party}" for outcome in outcomes]
    width = max(len(label) for _, label in _ROWS) + 2
    lines = [" " * width + "  ".join(heads)]
    for name, label in _ROWS:
        cells = [_cell(outcome.card.figures()[name]) for outcome in outcomes]
        row = "  ".join(cell.rjust(len(head)) for cell, head in zip(cells, heads, strict=True))
        lines.append(label.ljust(width) + row)
    return "\n".join(lines)


def page(outcomes: Sequence["Outcome"]) -> str:
    """The whole report."""
    heads = "".join(
        f"<th>{escape(outcome.scenario.name)}<br>{escape(outcome.party)}</th>"
        for outcome in outcomes
    )
    rows = "".join(
        f"<tr><td>{label}</td>"
        + "".join(f"<td>{_cell(outcome.card.figures()[name])}</td>" for outcome in outcomes)
        + "</tr>"
        for name, label in _ROWS
    )
    sections = "".join(_section(outcome) for outcome in outcomes)
    return (
        '<!doctype html><html lang="en"><meta charset="utf-8">'
        f"<title>Duplex: scenarios</title><style>{_STYLE}</style>"
        f"<h1>Scenarios</h1><table><tr><th></th>{heads}</tr>{rows}</table>"
        f"<p>{_clock(outcomes)}</p>{sections}</html>\n"
    )


def _clock(outcomes: Sequence["Outcome"]) -> str:
    if all(outcome.live for outcome in outcomes):
        return "Held at the pace of speech: times hold the work of the models on this machine."
    return "Held on virtual time: the models' work takes no time, so times are those of decisions."


def _section(outcome: "Outcome") -> str:
    faults = "".join(f'<li class="bad">{escape(fault)}</li>' for fault in outcome.faults)
    verdict = f"<ul>{faults}</ul>" if faults else '<p class="good">As it should be.</p>'
    sound = base64.b64encode(_wav(outcome.call)).decode()
    return (
        f"<h2>{escape(outcome.scenario.name)}: {escape(outcome.party)}</h2>{verdict}"
        f'<audio controls src="data:audio/wav;base64,{sound}"></audio>'
        f'<div class="line">{timeline(outcome.call)}</div>'
    )


def timeline(call: Call) -> str:
    """Draw both tracks over one time axis, with the words, and what was decided."""
    length_s = len(call.caller) / SAMPLE_RATE
    width = _LEFT + round(length_s * _SECOND) + 20
    height = _TOP + 2 * _LANE + 60
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" '
        'font-family="sans-serif" font-size="11" fill="#333">',
        *(_tick(second, height) for second in range(int(length_s) + 1)),
        _lane(call.caller, SAMPLE_RATE, 0, "caller", "#3b82c4"),
        _lane(call.agent, call.agent_rate, 1, "agent", "#3f9a6b"),
        *(_said(said) for said in call.said if said.was_said),
        *(_word(word.text, word.start_s, row % 3) for row, word in enumerate(call.words)),
        *(_decision(event, row % 3) for row, event in enumerate(call.decisions)),
        "</svg>",
    ]
    return "".join(parts)


def _lane(pcm: Int16Array, rate: int, number: int, name: str, colour: str) -> str:
    """The loudest sample of every 25 ms, as a filled outline."""
    step = rate // 40
    whole = len(pcm) // step * step
    peaks = np.abs(pcm[:whole].astype(np.int32)).reshape(-1, step).max(axis=1) / 32768
    middle = _TOP + number * _LANE + _LANE // 2
    reach = np.minimum(np.sqrt(peaks), 1.0) * (_LANE / 2 - 14)
    xs = _LEFT + np.arange(len(reach)) * _SECOND / 40
    # Runs of silence are one straight line.
    above = " ".join(f"{x:.0f},{middle - y:.1f}" for x, y in zip(xs, reach, strict=True))
    below = " ".join(
        f"{x:.0f},{middle + y:.1f}" for x, y in zip(xs[::-1], reach[::-1], strict=True)
    )
    return (
        f'<text x="6" y="{middle + 4}">{name}</text>'
        f'<polygon points="{above} {below}" fill="{colour}" opacity="0.75"/>'
    )


def _tick(second: int, height: int) -> str:
    x = _x(second)
    return (
        f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{height - 24}" stroke="#eef0f3"/>'
        f'<text x="{x}" y="{height - 8}" text-anchor="middle">{second} s</text>'
    )


def _said(said: Said) -> str:
    start, end = _x(said.start_s), _x(said.end_s)
    label = said.text or said.line.sound or said.line.manner
    return (
        f'<rect x="{start}" y="{_TOP}" width="{end - start}" height="{_LANE - 6}" '
        f'fill="#3b82c4" opacity="0.10"/>'
        f'<text x="{start + 2}" y="{_TOP + 10}">{escape(label)}</text>'
    )


def _word(text: str, start_s: float, row: int) -> str:
    return f'<text x="{_x(start_s)}" y="{_TOP + 2 * _LANE - 2 + 11 * row}">{escape(text)}</text>'


def _decision(event: dict[str, object], row: int) -> str:
    at = event["at_s"]
    x = _x(float(at) if isinstance(at, (int, float)) else 0.0)
    return (
        f'<line x1="{x}" y1="{_TOP - 6}" x2="{x}" y2="{_TOP + 2 * _LANE - 14}" stroke="#999" '
        f'stroke-dasharray="2 3"/><text x="{x + 2}" y="{_TOP - 8 - 11 * row}" fill="#777">'
        f"{escape(str(event['kind']))}<title>{escape(str(event['reason']))}</title></text>"
    )


def _x(at_s: float) -> int:
    return _LEFT + round(at_s * _SECOND)


def _cell(value: object) -> str:
    return "-" if value is None else f"{value:g}" if isinstance(value, float) else str(value)


def _wav(call: Call) -> bytes:
    """Both sides, the caller on the left, small enough to travel in the page."""
    left = resample(call.caller, SAMPLE_RATE, _AUDIO_RATE)
    right = resample(call.agent, call.agent_rate, _AUDIO_RATE)
    length = max(len(left), len(right))
    both = np.zeros((length, 2), np.int16)
    both[: len(left), 0], both[: len(right), 1] = left, right
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(2)
        file.setsampwidth(2)
        file.setframerate(_AUDIO_RATE)
        file.writeframes(both.tobytes())
    return buffer.getvalue()
