from agent.observe.record import TurnRecorder


class Clock:
    now = 100.0

    def __call__(self):
        return self.now


def test_stages_count_from_the_arrival_of_the_users_last_sample():
    clock = Clock()
    recorder = TurnRecorder(clock)
    clock.now = 103.0
    recorder.heard_audio(48_000)
    clock.now = 103.2
    recorder.begin(text="hi", start=16_000, end=40_000, decision={"kind": "COMMIT"})
    clock.now = 103.5
    recorder.mark("first_audio")
    clock.now = 109.0
    recorder.mark("first_audio")
    record = recorder.current.as_json()
    # 8000 samples before the newest are 0.5 s before its arrival.
    assert record["marks_s"]["speech_end"] == 2.5
    assert record["stages"]["voice_to_voice_s"] == 1.0
    assert record["stages"]["decided_s"] == 0.7


def test_marks_made_before_the_decision_belong_to_the_turn_it_opens():
    clock = Clock()
    recorder = TurnRecorder(clock)
    clock.now = 101.0
    recorder.draft("recognised")
    recorder.begin(text="hi", start=0, end=0, decision={})
    assert recorder.current.marks["recognised"] == 1.0
    recorder.begin(text="again", start=0, end=0, decision={})
    assert "recognised" not in recorder.current.marks


def test_the_last_words_of_an_answer_mark_no_stage_of_the_next_turn():
    recorder = TurnRecorder(Clock())
    recorder.asked(draft=True)
    recorder.begin(text="hi", start=0, end=0, decision={})
    # The draft's first word came while the turn was decided, before the draft heard of it.
    recorder.mark("first_token", draft=True)
    recorder.begin(text="again", start=0, end=0, decision={})
    assert "first_token" not in recorder.current.marks


def test_what_was_recognised_long_before_belongs_to_no_turn():
    clock = Clock()
    recorder = TurnRecorder(clock)
    clock.now = 101.0
    recorder.draft("recognised")
    clock.now = 116.0
    recorder.heard_audio(16 * 16_000)
    recorder.begin(text="typed", start=None, end=16 * 16_000, decision={})
    assert "recognised" not in recorder.current.marks
