from agent.observe.record import TurnRecord
from agent.observe.spans import Span, spans


def record(**marks):
    return TurnRecord(turn=1, marks=marks)


def test_each_stage_runs_from_the_last_of_what_it_waited_for_to_its_mark():
    turn = record(speech_end=2.0, recognised=2.2, decided=2.6, first_token=2.9, first_clause=3.0)
    turn.marks |= {"first_speech": 3.2, "first_audio": 3.3, "answer_end": 5.0}
    turn.speech_start_sample, turn.speech_end_sample = 8_000, 32_000
    assert spans(turn) == [
        Span("turn", 0.5, 5.0),
        Span("speech", 0.5, 2.0),
        Span("recognised", 2.0, 2.2),
        Span("decided", 2.0, 2.6),
        Span("first_token", 2.6, 2.9),
        Span("first_clause", 2.9, 3.0),
        Span("first_speech", 3.0, 3.2),
        Span("first_audio", 3.2, 3.3),
        Span("heard", 3.3, 5.0),
    ]


def test_an_answer_prepared_unheard_runs_beside_the_decision_and_sounds_after_it():
    turn = record(speech_end=2.0, speculated=2.1, decided=2.6, first_token=2.3, first_speech=2.5)
    turn.marks["first_audio"] = 2.7
    found = {span.name: span for span in spans(turn)}
    assert found["first_token"] == Span("first_token", 2.1, 2.3)
    assert found["first_audio"] == Span("first_audio", 2.6, 2.7)


def test_what_came_before_its_usual_cause_took_the_turn_so_far():
    found = {span.name: span for span in spans(record(speech_end=2.0, recognised=1.8, decided=2.6))}
    assert found["recognised"] == Span("recognised", 1.8, 1.8)
    assert found["turn"] == Span("turn", 1.8, 2.6)


def test_no_marks_are_no_turn():
    assert spans(record()) == []
