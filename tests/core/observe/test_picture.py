from xml.etree import ElementTree

from agent.asr.hypothesis import Hypothesis, Word
from agent.observe.picture import Evidence, picture
from agent.observe.record import HopRecord

HOP = 512


def test_a_turn_is_drawn_with_its_words_sum_and_floor():
    hops = [
        HopRecord(i * HOP, 0.9 if i < 20 else 0.05, "user" if i < 40 else "agent", i / 10, 2.5)
        for i in range(60)
    ]
    word = Word("tea & cake?", 4 * HOP, 9 * HOP, 0.9)
    evidence = Evidence(hops, [Hypothesis(1, word.text, (word,), False, 0, 9 * HOP)])
    decisions = [{"at_s": 1.28, "kind": "COMMIT", "reason": "1 < 2"}]

    drawn = ElementTree.fromstring(picture(evidence, decisions, (0.0, 2.0)))

    texts = [element.text for element in drawn.iter("{http://www.w3.org/2000/svg}text")]
    assert {"tea & cake?", "user", "agent", "COMMIT"} <= set(texts)
    assert len(list(drawn.iter("{http://www.w3.org/2000/svg}polyline"))) == 1


def test_what_lies_outside_is_not_drawn():
    evidence = Evidence([HopRecord(10 * 16_000, 0.5, "open")], [])
    drawn = picture(evidence, [{"at_s": 10.0, "kind": "HOLD", "reason": ""}], (0.0, 1.0))
    assert "HOLD" not in drawn and ">open<" not in drawn
