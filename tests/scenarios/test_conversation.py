"""A turn, and what an interruption leaves of an answer."""

import dataclasses

from pytest import approx

from agent.asr.hypothesis import Hypothesis
from agent.llm.fallback import Lines
from agent.llm.prompt import INTERRUPTED_NOTE
from tests.scenarios.fakes import DEAD, ScriptedRecogniser
from tests.scenarios.scripted import ScriptedCall


def test_a_question_is_answered() -> None:
    call = ScriptedCall(first_token_s=0.02)
    call.user_says("what is the capital of France?", start_s=0.5, end_s=2.0)
    call.agent_says("Paris is the capital of France.")

    outcome = call.run(lasting_s=8.0)

    assert outcome.history == [
        {"role": "user", "content": "what is the capital of France?"},
        {"role": "assistant", "content": "Paris is the capital of France."},
    ]
    assert outcome.decisions() == ["SPECULATE", "COMMIT"]
    # A turn that reads and sounds finished; the answer was begun before it had ended.
    ((begins, ends),) = outcome.agent_speaks_at()
    assert begins == approx(2.0 + outcome.turns[1].stages()["decided_s"], abs=0.06)
    assert begins < 2.0 + 0.4
    assert ends - begins == approx(6 * 0.4, abs=0.02)


def test_an_interrupted_answer_is_remembered_as_far_as_it_was_heard() -> None:
    call = ScriptedCall()
    call.user_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
    line = "Saturn is the sixth planet from the sun and it has rings."
    call.agent_says(line)
    call.user_says("no, the car.", start_s=4.0, end_s=4.8)
    call.agent_says("Ah, the car.")

    outcome = call.run(lasting_s=10.0)

    first, second = outcome.agent_speaks_at()
    # It falls silent once this is known to be speech, and is cut once the words are.
    assert first[1] < 4.0 + 0.25
    assert outcome.decisions()[2:5] == ["DUCK", "PAUSE", "BARGE_IN"]
    heard = outcome.history[1]["content"].split()
    assert heard and line.startswith(" ".join(heard))
    assert abs(len(heard) - (first[1] - first[0]) / 0.4) <= 1
    assert outcome.history[2] == {"role": "system", "content": INTERRUPTED_NOTE}
    assert [m["content"] for m in outcome.history[3:]] == ["no, the car.", "Ah, the car."]
    assert second[0] > 4.8


def test_a_pause_inside_a_sentence_does_not_end_the_turn() -> None:
    call = ScriptedCall(prosody=0.1)
    call.user_says("I would like a table for", start_s=0.5, end_s=2.0)
    call.user_says("four people.", start_s=3.5, end_s=4.2)
    call.agent_says("For four, then.")

    outcome = call.run(lasting_s=9.0)

    assert outcome.history[0]["content"] == "I would like a table for four people."
    assert len(outcome.asked) >= 1
    assert outcome.agent_speaks_at()[0][0] > 4.2


def test_words_after_a_speculation_withdraw_it() -> None:
    call = ScriptedCall(prosody=0.6)
    call.user_says("book a table.", start_s=0.5, end_s=2.0)
    call.user_says("for two.", start_s=2.6, end_s=3.2)
    call.agent_says("Never to be heard.")
    call.agent_says("For two.")

    outcome = call.run(lasting_s=8.0)

    assert outcome.decisions()[:2] == ["SPECULATE", "RESUME"]
    assert outcome.history == [
        {"role": "user", "content": "book a table. for two."},
        {"role": "assistant", "content": "For two."},
    ]


def test_a_cough_is_no_turn() -> None:
    call = ScriptedCall()
    call.noise(start_s=1.0, end_s=1.3)
    call.agent_says("Never to be heard.")

    outcome = call.run(lasting_s=5.0)

    assert outcome.decisions() == ["HOLD"]
    assert outcome.history == []
    assert outcome.agent_speaks_at() == []
    shown = [event for _, event in outcome.messages if event["type"] == "transcript"]
    # A final without words takes a line away; a tentative one would leave an empty one behind.
    assert all(event["final"] for event in shown)


def test_a_short_word_over_the_agent_leaves_it_the_floor() -> None:
    call = ScriptedCall()
    call.user_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
    call.agent_says("Saturn is the sixth planet.")
    call.user_says("mhm", start_s=3.0, end_s=3.16)

    outcome = call.run(lasting_s=8.0)

    assert "BACKCHANNEL" in outcome.decisions()
    assert outcome.history[1]["content"] == "Saturn is the sixth planet."


def test_silence_from_the_model_becomes_an_apology() -> None:
    call = ScriptedCall()
    call.user_says("are you there?", start_s=0.5, end_s=1.5)
    call.agent_says("")

    outcome = call.run(lasting_s=9.0)

    assert "Sorry" in outcome.history[1]["content"]
    assert outcome.agent_speaks_at()


def test_a_dead_model_is_asked_again_while_the_caller_hears_why() -> None:
    call = ScriptedCall()
    call.user_says("are you there?", start_s=0.5, end_s=1.5)
    call.agent_says(DEAD)  # The draft: nobody waits for it yet.
    call.agent_says(DEAD)
    call.agent_says("Yes I am.")

    outcome = call.run(lasting_s=12.0)

    spoken = [m["content"] for m in outcome.history if m["role"] == "assistant"]
    assert spoken == [Lines().lost, "Yes I am."]
    assert len(outcome.asked) == 3


def test_a_model_that_fails_on_a_draft_is_asked_again_when_the_turn_ends() -> None:
    call = ScriptedCall()
    call.user_says("are you there?", start_s=0.5, end_s=1.5)
    call.agent_says(DEAD)
    call.agent_says("Yes I am.")

    outcome = call.run(lasting_s=6.0)

    assert [m["content"] for m in outcome.history] == ["are you there?", "Yes I am."]


def test_a_draft_is_spoken_before_the_turn_has_ended_and_heard_when_it_has() -> None:
    call = ScriptedCall(first_token_s=0.05)
    call.user_says("are you there?", start_s=0.5, end_s=1.5)
    call.agent_says("Yes I am.")

    outcome = call.run(lasting_s=6.0)

    stages = outcome.turns[1].stages()
    assert stages["first_speech_s"] < stages["decided_s"] <= stages["first_audio_s"]
    assert outcome.turns[1].answered == "Yes I am."


def test_a_model_that_stays_dead_is_given_up_aloud() -> None:
    call = ScriptedCall()
    call.user_says("are you there?", start_s=0.5, end_s=1.5)
    for _ in range(4):
        call.agent_says(DEAD)

    outcome = call.run(lasting_s=18.0)

    spoken = [m["content"] for m in outcome.history if m["role"] == "assistant"]
    assert spoken == [Lines().lost, Lines().give_up]


def test_a_late_model_is_bridged_by_a_filler() -> None:
    call = ScriptedCall(first_token_s=6.0)
    call.user_says("are you there?", start_s=0.5, end_s=1.5)
    call.agent_says("Yes I am.")

    outcome = call.run(lasting_s=14.0)

    assert outcome.agent_speaks_at()[0][0] < 1.5 + 0.25 + 1.5 + 0.2
    assert outcome.history[1]["content"].endswith("Yes I am.")


def test_the_greeting_is_spoken_and_remembered() -> None:
    outcome = ScriptedCall().run(lasting_s=8.0, greet=True)

    assert outcome.history == [
        {"role": "assistant", "content": "Hi, I'm Duplex. What can I do for you?"}
    ]


def test_typed_input_is_answered() -> None:
    call = ScriptedCall()
    call.client_sends(1.0, {"type": "text", "text": "what time is it?"})
    call.agent_says("Late.")

    outcome = call.run(lasting_s=5.0)

    assert [message["content"] for message in outcome.history] == ["what time is it?", "Late."]
    assert outcome.turns[1].stages()["voice_to_voice_s"] > 0


def test_the_interrupt_button_silences_the_agent() -> None:
    call = ScriptedCall()
    call.user_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
    call.agent_says("Saturn is the sixth planet from the sun and it has rings.")
    call.client_sends(3.5, {"type": "interrupt"})

    outcome = call.run(lasting_s=7.0)

    ((_, ends),) = outcome.agent_speaks_at()
    # The packet being written, the one the client is playing, and a fade of one packet.
    assert 3.5 < ends <= 3.5 + 0.06 + 0.001
    assert outcome.turns[1].interrupted


def test_a_muted_caller_is_not_heard() -> None:
    call = ScriptedCall()
    call.client_sends(0.1, {"type": "mute", "muted": True})
    call.user_says("can you hear me?", start_s=0.5, end_s=2.0)
    call.agent_says("Never to be heard.")

    assert call.run(lasting_s=5.0).history == []


def test_the_same_call_gives_the_same_decisions() -> None:
    def once() -> list[tuple[float, dict]]:
        call = ScriptedCall()
        call.user_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
        call.agent_says("Saturn is the sixth planet.")
        call.user_says("no, the car.", start_s=3.0, end_s=3.8)
        call.agent_says("Ah.")
        messages = call.run(lasting_s=7.0).messages
        return [(at, event) for at, event in messages if event["type"] in ("decision", "floor")]

    assert once() == once()


def test_a_cough_over_the_agent_costs_a_short_pause_and_no_word() -> None:
    call = ScriptedCall()
    call.user_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
    line = "Saturn is the sixth planet from the sun and it has rings."
    call.agent_says(line)
    call.noise(start_s=4.0, end_s=4.3)

    outcome = call.run(lasting_s=10.0)

    assert outcome.decisions()[-4:] == ["DUCK", "PAUSE", "RESUME", "BACKCHANNEL"]
    before, after = outcome.agent_speaks_at()
    # It falls silent within the cough and goes on within a second of it.
    assert before[1] < 4.3
    assert after[0] < 4.3 + 1.0
    # From the sample it stopped at: but for the fades all of it is heard, and once.
    heard_s = (before[1] - before[0]) + (after[1] - after[0])
    assert heard_s == approx(12 * 0.4, abs=0.06)
    assert len(outcome.asked) == 1
    assert outcome.history[1]["content"] == line


def test_told_to_wait_the_agent_goes_on_when_told_to() -> None:
    call = ScriptedCall()
    call.user_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
    line = "Saturn is the sixth planet from the sun and it has rings."
    call.agent_says(line)
    call.user_says("hold on.", start_s=4.0, end_s=4.5)
    call.user_says("go on.", start_s=7.0, end_s=7.5)

    outcome = call.run(lasting_s=13.0)

    before, after = outcome.agent_speaks_at()
    assert before[1] < 4.5 and 7.5 < after[0] < 8.2
    assert [m["content"] for m in outcome.history] == ["tell me about Saturn.", line]


def test_stop_is_obeyed_and_not_answered() -> None:
    call = ScriptedCall()
    call.user_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
    call.agent_says("Saturn is the sixth planet from the sun and it has rings.")
    call.user_says("stop.", start_s=4.0, end_s=4.4)
    call.agent_says("Never to be heard.")

    outcome = call.run(lasting_s=9.0)

    assert len(outcome.agent_speaks_at()) == 1
    assert [m["content"] for m in outcome.history if m["role"] == "user"] == [
        "tell me about Saturn."
    ]


def test_asked_to_repeat_the_agent_says_it_again() -> None:
    call = ScriptedCall()
    call.user_says("tell me about Saturn.", start_s=0.5, end_s=2.0)
    call.agent_says("It has rings.")
    call.user_says("say that again.", start_s=5.0, end_s=6.0)

    outcome = call.run(lasting_s=10.0)

    assert [m["content"] for m in outcome.history] == [
        "tell me about Saturn.",
        "It has rings.",
        "It has rings.",
    ]
    assert len(outcome.asked) == 1


def test_a_recogniser_that_fails_at_the_end_does_not_cost_the_turn() -> None:
    class Failing(ScriptedRecogniser):
        def finish(self) -> Hypothesis:
            raise RuntimeError("out of memory")

    words = [("are", 0.5, 0.8), ("you", 0.8, 1.1), ("there?", 1.1, 1.5)]
    call = ScriptedCall(ears={"recogniser": lambda: Failing(words)})
    call.noise(start_s=0.5, end_s=1.5)
    call.agent_says("Yes I am.")

    outcome = call.run(lasting_s=7.0)

    assert [m["content"] for m in outcome.history] == ["are you there?", "Yes I am."]


def test_letting_the_button_go_ends_the_turn() -> None:
    call = ScriptedCall(prosody=0.05)
    call.user_says("I would like a pizza and", start_s=0.5, end_s=2.0)
    call.client_sends(2.0, {"type": "push_to_talk", "down": False})
    call.agent_says("A pizza, then.")

    outcome = call.run(lasting_s=6.0)

    assert outcome.turns[1].stages()["decided_s"] < 0.3
    assert outcome.history[1]["content"] == "A pizza, then."


def test_a_draft_whose_words_have_changed_is_replaced() -> None:
    class Wavering(ScriptedRecogniser):
        settled = 0

        def settle(self) -> Hypothesis:
            self.settled += 1
            told = super().settle()
            text = told.text if self.settled > 1 else told.text.replace("there", "here")
            return dataclasses.replace(told, text=text)

    words = [("are", 0.5, 0.8), ("you", 0.8, 1.1), ("there?", 1.1, 1.5)]
    call = ScriptedCall(prosody=0.6, ears={"recogniser": lambda: Wavering(words)})
    call.noise(start_s=0.5, end_s=1.5)
    call.agent_says("Never to be heard.")
    call.agent_says("Yes I am.")

    outcome = call.run(lasting_s=7.0)

    assert outcome.decisions()[:2] == ["SPECULATE", "SPECULATE"]
    assert [m["content"] for m in outcome.history] == ["are you there?", "Yes I am."]


def test_what_is_said_into_an_answer_to_typed_text_takes_the_floor() -> None:
    call = ScriptedCall(prosody=0.3, first_token_s=0.3)
    call.user_says("well, I was about to say that the weather is fine.", start_s=1.0, end_s=4.0)
    call.client_sends(1.5, {"type": "text", "text": "tell me about Saturn."})
    call.agent_says("Saturn is the sixth planet from the sun and it has rings.")
    call.agent_says("So it is.")

    outcome = call.run(lasting_s=12.0)

    assert "BARGE_IN" in outcome.decisions()
    assert outcome.history[-1] == {"role": "assistant", "content": "So it is."}
