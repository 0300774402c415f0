"""The report: one file, nothing from elsewhere, both tracks on one time line."""

import re
import xml.etree.ElementTree as ET

import numpy as np

from agent.eval.bench import Outcome
from agent.eval.caller import Call, Said
from agent.eval.ears import HeardWord
from agent.eval.report import page, table, timeline
from agent.eval.scenario import Line, Scenario
from agent.eval.score import score

SAID = Said(Line(say="<b>how</b> far?"), "<b>how</b> far?", 0.5, 1.0)
CALL = Call(
    said=[SAID],
    words=[HeardWord("far", 1.2, 1.5, 0)],
    caller=np.full(32_000, 2000, np.int16),
    agent=np.full(48_000, 2000, np.int16),
    agent_rate=24_000,
    spoke=[(1.2, 1.5)],
    decisions=[{"kind": "COMMIT", "at_s": 1.1, "reason": "it was over"}],
)


def outcome(party="duplex"):
    return Outcome(Scenario(script=(SAID.line,)), party, CALL, score(CALL), live=False)


def test_the_time_line_shows_both_tracks_words_and_decisions():
    drawn = ET.fromstring(timeline(CALL))
    texts = ["".join(node.itertext()) for node in drawn.iter() if node.tag.endswith("text")]
    assert {"caller", "agent", "far", "<b>how</b> far?"} <= set(texts)
    assert any("COMMIT" in text for text in texts)
    assert sum(node.tag.endswith("polygon") for node in drawn.iter()) == 2


def test_the_page_loads_nothing():
    text = page([outcome(), outcome("stock pipecat")])
    addresses = re.findall(r'(?:src|href)="([^"]{1,40})', text)
    assert addresses and all(address.startswith("data:") for address in addresses)
    assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
    assert text.count("<svg") == 2 and "<b>how</b>" not in text


def test_the_table_has_a_column_for_each():
    lines = table([outcome(), outcome("stock pipecat")]).splitlines()
    assert lines[0].split("  ")[-1] == "scenario: stock pipecat"
    assert lines[1].split()[-2:] == ["0.2", "0.2"]
