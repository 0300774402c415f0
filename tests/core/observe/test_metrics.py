"""Names, kinds and labels are what dashboards and alerts are written against: frozen here."""

import json
import re
from pathlib import Path

import pytest

from agent.observe.lateness import Lateness
from agent.observe.metrics import Metrics

FROZEN = {
    "duplex_barge_ins": ("counter", ()),
    "duplex_cut_offs_withdrawn": ("counter", ()),
    "duplex_decisions": ("counter", ("kind",)),
    "duplex_drafts_withdrawn": ("counter", ()),
    "duplex_failovers": ("counter", ("part",)),
    "duplex_frame_lateness_seconds": ("histogram", ()),
    "duplex_queue_depth": ("gauge", ("queue",)),
    "duplex_ready": ("gauge", ()),
    "duplex_reconnects": ("counter", ()),
    "duplex_refused": ("counter", ("status",)),
    "duplex_resumes": ("counter", ()),
    "duplex_session_seconds": ("histogram", ("channel",)),
    "duplex_sessions": ("counter", ("channel",)),
    "duplex_sessions_active": ("gauge", ()),
    "duplex_sessions_failed": ("counter", ()),
    "duplex_sessions_limit": ("gauge", ()),
    "duplex_stage_seconds": ("histogram", ("stage",)),
    "duplex_tasks": ("gauge", ()),
    "duplex_tool_calls": ("counter", ("result",)),
    "duplex_turns": ("counter", ()),
    "duplex_voice_to_voice_seconds": ("histogram", ()),
}
SUFFIXES = {"counter": {"_total"}, "gauge": {""}, "histogram": {"_bucket", "_sum", "_count"}}
DASHBOARD = Path(__file__).parents[3] / "deploy" / "grafana" / "dashboards" / "duplex.json"


def metrics():
    made = Metrics()
    zero = dict.fromkeys(("active", "limit", "ready", "tasks"), lambda: 0.0)
    made.gauges(**zero, depths={"clauses": lambda: 0.0})
    return made


def test_names_kinds_and_labels_stay():
    collectors = set(metrics().registry._collector_to_names)
    assert {one._name: (one._type, one._labelnames) for one in collectors} == FROZEN


def test_the_dashboard_asks_for_what_there_is_and_for_all_of_it():
    series = {
        name + suffix: labels
        for name, (kind, labels) in FROZEN.items()
        for suffix in SUFFIXES[kind]
    }
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    asked = set()
    for panel in panels:
        for target in panel["targets"]:
            names = re.findall(r"duplex_\w+", target["expr"])
            assert names and set(names) <= set(series), target
            grouped = re.findall(r"by \((.*?)\)", target["expr"])
            labels = {label.strip() for group in grouped for label in group.split(",")}
            assert labels <= {"le", *series[names[0]]}, target
            asked |= {re.sub("_(bucket|total)$", "", name) for name in names}
    assert asked == set(FROZEN)


@pytest.mark.parametrize(
    ("taken_s", "late_s"),
    [
        ([0.0, 0.02, 0.04], [0, 0, 0]),
        ([0.0, 0.05, 0.06], [0, 0.03, 0.02]),
        # Ahead of the schedule, as a sender fills its client's buffer, and on from there.
        ([0.0, 0.0, 0.0, 0.02, 0.05], [0, 0, 0, 0, 0.01]),
    ],
)
def test_lateness_is_against_the_earliest_schedule(taken_s, late_s):
    lateness = Lateness()
    assert [lateness.push(at, 0.02) for at in taken_s] == pytest.approx(late_s)


def test_after_a_pause_the_first_packet_is_not_late():
    lateness = Lateness()
    lateness.push(0.0, 0.02)
    lateness.restart()
    assert lateness.push(9.0, 0.02) == 0
