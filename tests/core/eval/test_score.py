"""The score of conversations whose tracks are written down."""

import pytest

from agent.eval.caller import Call, Said
from agent.eval.ears import HeardWord
from agent.eval.scenario import Limits, Line
from agent.eval.score import score


def turn(text, start_s, end_s, *, over=False, messages=0, **line):
    return Said(Line(say=text, **line), text, start_s, end_s, over, messages)


def nod(start_s, end_s):
    return Said(Line(backchannel="Mhm."), "Mhm.", start_s, end_s, over_agent=True)


def words(text, start_s, step_s=0.3, first=0):
    return [
        HeardWord(word, start_s + i * step_s, start_s + (i + 1) * step_s, first + i)
        for i, word in enumerate(text.split())
    ]


def remembers(*told):
    return [{"role": role, "content": text} for role, text in told]


QUESTION = turn("how far is the moon", 0.5, 2.0)


def test_a_question_and_its_answer():
    call = Call(
        said=[QUESTION],
        words=words("very far", 2.6),
        made=2,
        spoke=[(2.6, 3.2)],
        messages=remembers(("user", "How far is the moon?"), ("assistant", "very far")),
    )
    card = score(call)
    assert card.voice_to_voice_s == [pytest.approx(0.6)]
    assert card.turns == 1 and card.wer == 0 and card.context_errors == 0
    assert card.exceeded(Limits()) == []
    assert card.exceeded(Limits(voice_to_voice_p50_s=0.5)) == [
        "voice_to_voice_p50_s is 0.6, at most 0.5 is allowed"
    ]


def test_speaking_into_a_pause_is_a_cut_off_and_no_fast_answer():
    card = score(Call(said=[QUESTION], spoke=[(1.2, 1.5), (2.5, 3.0)]))
    assert card.cut_offs == 1 and card.voice_to_voice_s == []


def test_silence_is_an_unanswered_turn():
    assert score(Call(said=[QUESTION])).unanswered == 1


def test_an_interruption_counts_until_the_last_sample():
    call = Call(said=[turn("no, the car", 4.0, 5.0, over=True)], spoke=[(2.6, 4.3), (5.4, 6.0)])
    card = score(call)
    assert card.stop_s == [pytest.approx(0.3)] and card.interruptions == 1
    assert card.voice_to_voice_s == [pytest.approx(0.4)] and card.cut_offs == 0


def test_an_answer_that_goes_on_after_a_nod_was_not_interrupted():
    said = words("it is very far", 2.6) + words("away", 4.4, first=4)
    card = score(Call(said=[nod(3.6, 3.8)], words=said, made=5, spoke=[(2.6, 3.8), (4.4, 4.8)]))
    assert card.overlaps == 1 and card.false_barge_ins == 0
    assert card.resume_s == [pytest.approx(0.6)]


def test_an_answer_that_a_cough_ended_is_a_false_barge_in():
    call = Call(said=[nod(3.6, 3.8)], words=words("it is very", 2.6), made=9, spoke=[(2.6, 3.7)])
    assert score(call).false_barge_ins == 1


def test_an_answer_that_was_over_anyway_is_none():
    call = Call(said=[nod(3.4, 3.8)], words=words("it is very", 2.6), made=3, spoke=[(2.6, 3.7)])
    assert score(call).false_barge_ins == 0


def test_words_that_nobody_heard_are_counted_in_the_context():
    call = Call(
        said=[QUESTION],
        words=words("very far", 2.6),
        spoke=[(2.6, 3.2)],
        messages=remembers(
            ("user", "how far is the moon"),
            ("assistant", "very far away"),
            ("user", "buy cheap soap"),
        ),
    )
    card = score(call)
    assert card.context_errors == 1 and card.ghost_turns == 1


def test_an_expected_tool_and_its_one_result():
    call_made = {"id": "1", "function": {"name": "book", "arguments": '{"guests": 4, "day": "x"}'}}
    memory = [
        {"role": "user", "content": "a table for four"},
        {"role": "assistant", "tool_calls": [call_made]},
        {"role": "tool", "tool_call_id": "1", "content": '"done"'},
    ]
    asked = turn("a table for four", 0.5, 2.0, tool={"book": {"guests": 4}}, answer="done")
    call = Call(said=[asked], words=words("done", 2.6), spoke=[(2.6, 2.9)], messages=memory)
    assert score(call).failures == []
    call.messages = memory[:2]
    assert score(call).failures == ["1 tool calls lack their one result"]
    wrong = turn("a table for two", 0.5, 2.0, tool={"book": {"guests": 2}}, answer="sorry")
    call.said, call.messages = [wrong], memory
    told = score(call).failures
    assert len(told) == 2 and "book({'guests': 2}) was not called" in told[1]


def test_a_line_whose_moment_never_came_is_a_failure():
    missed = Said(Line(say="stop", at_word="moon"), "stop", 9.0, 9.0, was_said=False)
    card = score(Call(said=[missed]))
    assert card.unsaid == 1 and "was never said" in card.exceeded(Limits())[-1]
