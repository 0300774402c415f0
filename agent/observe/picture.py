"""What was weighed, as a picture: SVG text. Pure.

Four lanes over one time axis: the speech posterior, the words as they were understood, the sum of
evidence against the height at which the turn is answered, and who held the floor.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.sax.saxutils import escape

from agent.asr.hypothesis import Hypothesis
from agent.audio.chunk import seconds
from agent.observe.record import HopRecord, TurnRecorder

_SECOND = 160
"""Pixels."""

_LEFT, _RIGHT, _TOP = 96, 24, 44
_LANE, _GAP = 72, 20
_ODDS = 6.0
"""Log-odds at the edges of their lane: 0.0025 and 0.9975."""

_FLOORS = {
    "open": "#d7dbe0",
    "user": "#3b82c4",
    "agent": "#3f9a6b",
    "ducked": "#9ccfb4",
    "paused": "#e0a13c",
    "waiting": "#b08fd0",
}


@dataclass
class Evidence:
    """All that was weighed in a session."""

    hops: list[HopRecord] = field(default_factory=list)
    words: list[Hypothesis] = field(default_factory=list)

    def watch(self, recorder: TurnRecorder) -> None:
        """Collect from a session that has not begun."""
        recorder.watch_hops = self.hops.append
        recorder.watch_words = self.words.append


def picture(
    evidence: Evidence, decisions: Sequence[dict[str, Any]], span: tuple[float, float]
) -> str:
    """Draw what was weighed between two moments, in seconds of the media clock.

    Returns:
        An SVG document.
    """
    start_s, stop_s = span
    hops = [hop for hop in evidence.hops if start_s <= seconds(hop.at_sample) <= stop_s]
    axis = _Axis(start_s, stop_s)
    lanes = [
        _lane("speech", 0, _posterior(hops, axis)),
        _lane("words", 1, _words(evidence.words, axis)),
        _lane("evidence", 2, _odds(hops, axis)),
        _lane("floor", 3, _floor(hops, axis)),
    ]
    shown = [each for each in decisions if start_s <= each["at_s"] <= stop_s]
    ticks = [_decision(each, axis, row % 3) for row, each in enumerate(shown)]
    height = _TOP + 4 * (_LANE + _GAP) + 24
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{axis.width}" height="{height}" '
            'font-family="sans-serif" font-size="11" fill="#333">',
            '<rect width="100%" height="100%" fill="#fff"/>',
            *axis.marks(height),
            *lanes,
            *ticks,
            "</svg>\n",
        ]
    )


@dataclass(frozen=True, slots=True)
class _Axis:
    start_s: float
    stop_s: float

    @property
    def width(self) -> int:
        return _LEFT + round((self.stop_s - self.start_s) * _SECOND) + _RIGHT

    def x(self, at_s: float) -> float:
        return round(_LEFT + (at_s - self.start_s) * _SECOND, 1)

    def marks(self, height: int) -> list[str]:
        marks = []
        for tenth in range(round(self.start_s * 10), round(self.stop_s * 10) + 1):
            if tenth % 5 == 0:
                x = self.x(tenth / 10)
                marks.append(
                    f'<line x1="{x}" y1="{_TOP}" x2="{x}" y2="{height - 20}" stroke="#eee"/>'
                )
                marks.append(
                    f'<text x="{x}" y="{height - 6}" text-anchor="middle">{tenth / 10:g} s</text>'
                )
        return marks


def _top(lane: int) -> int:
    return _TOP + lane * (_LANE + _GAP)


def _lane(name: str, lane: int, content: str) -> str:
    y = _top(lane)
    return f'<text x="8" y="{y + _LANE / 2 + 4}">{name}</text>{content}'


def _posterior(hops: Sequence[HopRecord], axis: _Axis) -> str:
    y = _top(0) + _LANE

    def height(probability: float) -> float:
        return round(y - probability * _LANE, 1)

    points = " ".join(f"{axis.x(seconds(hop.at_sample))},{height(hop.probability)}" for hop in hops)
    # Speech of people behind the caller: seen, and not counted.
    behind = "".join(
        f'<circle cx="{axis.x(seconds(hop.at_sample))}" cy="{height(hop.behind)}" r="1.5" '
        'fill="#b9c0c8"/>'
        for hop in hops
        if hop.behind is not None
    )
    return (
        f'<line x1="{_LEFT}" y1="{y}" x2="{axis.width - _RIGHT}" y2="{y}" stroke="#ccc"/>'
        f"{behind}"
        f'<polyline points="{points}" fill="none" stroke="#3b82c4" stroke-width="1.5"/>'
    )


def _words(hypotheses: Sequence[Hypothesis], axis: _Axis) -> str:
    """Each word where it was spoken, as it was last understood."""
    latest = {hypothesis.utterance_id: hypothesis for hypothesis in hypotheses}
    drawn = []
    for hypothesis in latest.values():
        for index, word in enumerate(hypothesis.words):
            at_s = seconds(word.start_sample)
            if axis.start_s <= at_s <= axis.stop_s:
                y = _top(1) + 24 + 18 * (index % 3)
                drawn.append(f'<text x="{axis.x(at_s)}" y="{y}">{escape(word.text)}</text>')
    return "".join(drawn)


def _odds(hops: Sequence[HopRecord], axis: _Axis) -> str:
    def y(log_odds: float) -> float:
        part = (min(max(log_odds, -_ODDS), _ODDS) + _ODDS) / (2 * _ODDS)
        return round(_top(2) + _LANE * (1 - part), 1)

    drawn = [
        f'<line x1="{_LEFT}" y1="{y(0)}" x2="{axis.width - _RIGHT}" y2="{y(0)}" stroke="#ddd"/>'
    ]
    for hop in hops:
        if hop.log_odds is None or hop.commit is None:
            continue
        x = axis.x(seconds(hop.at_sample))
        drawn.append(f'<circle cx="{x}" cy="{y(hop.log_odds)}" r="2" fill="#c4473b"/>')
        drawn.append(f'<circle cx="{x}" cy="{y(hop.commit)}" r="1" fill="#888"/>')
    return "".join(drawn)


def _floor(hops: Sequence[HopRecord], axis: _Axis) -> str:
    drawn = []
    stretch: list[HopRecord] = []
    for hop in [*hops, None]:
        if stretch and (hop is None or hop.floor != stretch[0].floor):
            x = axis.x(seconds(stretch[0].at_sample))
            width = max(1.0, axis.x(seconds(stretch[-1].at_sample)) - x)
            colour = _FLOORS[stretch[0].floor]
            drawn.append(
                f'<rect x="{x}" y="{_top(3) + 20}" width="{width}" height="28" fill="{colour}"/>'
                f'<text x="{x + 3}" y="{_top(3) + 14}">{stretch[0].floor}</text>'
            )
            stretch = []
        if hop:
            stretch.append(hop)
    return "".join(drawn)


def _decision(decision: dict[str, Any], axis: _Axis, row: int) -> str:
    x = axis.x(decision["at_s"])
    return (
        f'<line x1="{x}" y1="{_TOP - 8}" x2="{x}" y2="{_top(3) + 48}" stroke="#333" '
        f'stroke-dasharray="3 3"/><text x="{x + 3}" y="{_TOP - 8 - 11 * row}">{decision["kind"]}'
        f"<title>{escape(decision['reason'])}</title></text>"
    )
