"""Conversations in the Realtime protocol: what the client is told, and what the context holds."""

import asyncio

import pytest

from agent.agent import Agent
from agent.settings import AsrSettings, PlayoutSettings, Settings
from tests.scenarios.calling import Calls, results
from tests.scenarios.fakes import DEAD
from tests.scenarios.realtime import RealtimeCall

MANUAL = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
TOOL = {
    "type": "function",
    "name": "weather",
    "description": "Weather of a city.",
    "parameters": {"type": "object", "properties": {"city": {"type": "string"}}},
}
LONG = "Saturn is the sixth planet from the sun and it has many rings."


def question(lines):
    call = RealtimeCall(lines)
    call.hears("tell me about Saturn.", 0.5, 1.5)
    return call


def test_a_turn_is_found_and_answered():
    call = question(["It is far away."])

    async def client(call):
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=4.0)
        await call.until("response.done")

    call.run(client)
    assert call.history == [
        {"role": "user", "content": "tell me about Saturn."},
        {"role": "assistant", "content": "It is far away."},
    ]
    assert call.audio_s >= 4 * 0.4
    # Nobody asked for a greeting.
    assert len(call.all("response.created")) == 1


def test_silence_is_heard_where_the_client_stops_sending():
    call = question(["It is far away."])

    async def client(call):
        await call.quiet(0.5)
        await call.speak(1.0)
        await call.until("response.done")

    call.run(client)
    assert call.history[-1]["content"] == "It is far away."


def test_who_speaks_over_the_agent_interrupts_and_says_what_was_heard():
    call = question([LONG, "Which one?"])
    call.hears("no, not that one.", 4.5, 5.5)

    async def client(call):
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=3.0)
        speaking = asyncio.create_task(call.speak(1.0, then_quiet_s=3.0))
        done = await call.until("response.done")
        assert done["response"]["status"] == "cancelled"
        (item,) = done["response"]["output"]
        await call.send(
            "conversation.item.truncate", item_id=item["id"], content_index=0, audio_end_ms=900
        )
        await call.until("conversation.item.truncated")
        await speaking
        await call.until("response.done", 2)

    call.run(client)
    # 900 ms hold two words of 400 ms, and the quarter of a third.
    assert [m["content"] for m in call.history] == [
        "tell me about Saturn.",
        "Saturn is",
        "no, not that one.",
        "Which one?",
    ]
    # The next answer was made on it.
    assert call.language.asked[-1][1]["content"] == "Saturn is"


@pytest.mark.parametrize("kind", ["server_vad", "semantic_vad"])
def test_a_recogniser_that_is_late_costs_no_interruption(kind):
    call = question([LONG, "Which one?"])
    # Before it is known how much of the agent comes back, speech over it may be its echo.
    call.hears("no, not that one.", 3.2, 4.4)
    call.recogniser_s = 0.01

    async def client(call):
        session = {"type": "realtime", "audio": {"input": {"turn_detection": {"type": kind}}}}
        await call.send("session.update", session=session)
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=1.7)
        call.recogniser_s = 1.0
        await call.speak(1.2, then_quiet_s=6.0)
        await call.until("response.done", 2)

    call.run(client)
    statuses = [event["response"]["status"] for event in call.all("response.done")]
    assert statuses == ["cancelled", "completed"]
    assert [m["content"] for m in call.history if m["role"] == "user"] == [
        "tell me about Saturn.",
        "no, not that one.",
    ]


def test_instructions_that_change_over_an_interruption_do_not_undo_it():
    call = question([LONG, "Which one?"])
    call.hears("no, not that one.", 4.5, 5.5)

    async def client(call):
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=3.0)
        await call.speak(0.2)
        await call.send("session.update", session={"type": "realtime", "instructions": "Be kind."})
        await call.speak(0.8, then_quiet_s=3.0)
        await call.until("response.done", 2)

    call.run(client)
    assert [m["content"] for m in call.history if m["role"] == "user"][-1] == "no, not that one."
    kinds = [decision["kind"] for decision in call.session.recorder.decisions]
    assert kinds.count("PAUSE") == kinds.count("BARGE_IN") == 1


def test_truncating_what_is_being_said_cuts_sound_and_text():
    call = question([LONG])

    async def client(call):
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=3.0)
        item = await call.until("conversation.item.added", 2)
        await call.send(
            "conversation.item.truncate",
            item_id=item["item"]["id"],
            content_index=0,
            audio_end_ms=500,
        )
        await call.until("conversation.item.truncated")
        before_s = call.audio_s
        await call.quiet(1.0)
        assert call.audio_s == before_s

    call.run(client)
    assert call.history[-1] == {"role": "assistant", "content": "Saturn"}


def test_manual_turns_sent_in_one_go_are_answered_when_asked():
    call = RealtimeCall(["It is far away."])
    call.hears("tell me about Saturn.", 0.1, 1.0)

    async def client(call):
        await call.send("session.update", session=MANUAL)
        await call.until("session.updated")
        await call.speak(1.0)
        await call.send("input_audio_buffer.commit")
        done = await call.until("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == "tell me about Saturn."
        await asyncio.sleep(5.0)
        assert call.all("response.created") == []
        await call.send("response.create")
        await call.until("response.done")
        # Turns are the client's: no speech is told of.
        assert call.all("input_audio_buffer.speech_started") == []

    call.run(client)
    assert [m["content"] for m in call.history] == ["tell me about Saturn.", "It is far away."]


def test_a_manual_turn_may_be_asked_about_before_it_is_understood():
    call = RealtimeCall(["It is far away."])
    call.hears("tell me about Saturn.", 0.1, 1.0)

    async def client(call):
        await call.send("session.update", session=MANUAL)
        await call.speak(1.0)
        await call.send("input_audio_buffer.commit")
        await call.send("response.create")
        await call.until("response.done")

    call.run(client)
    assert call.language.asked == [[{"role": "user", "content": "tell me about Saturn."}]]


def test_a_manual_turn_without_speech_is_an_empty_item():
    call = RealtimeCall(["Hello?"])

    async def client(call):
        await call.send("session.update", session=MANUAL)
        await call.quiet(0.5)
        await call.send("input_audio_buffer.commit")
        await call.send("response.create")
        done = await call.until("conversation.item.input_audio_transcription.completed")
        assert done["transcript"] == ""
        await call.until("response.done")

    call.run(client)
    assert [m["content"] for m in call.history] == ["Hello?"]


def test_what_was_cleared_is_no_part_of_the_turn():
    call = RealtimeCall(["Yes."])
    call.hears("forget this", 0.0, 1.0)
    call.hears("hear that", 1.4, 2.4)

    async def client(call):
        await call.send("session.update", session=MANUAL)
        await call.speak(1.0)
        await call.send("input_audio_buffer.clear")
        await call.quiet(0.4, paced=False)
        await call.speak(1.0, paced=False)
        await call.send("input_audio_buffer.commit")
        await call.send("response.create")
        await call.until("response.done")

    call.run(client)
    assert call.history[0]["content"] == "hear that"


def test_a_function_runs_at_the_client_and_has_one_result():
    call = question([Calls({"weather": {"city": "Paris"}}), "It is sunny."])
    asked = "What is the weather in Paris?"

    async def client(call):
        await call.send("session.update", session={"type": "realtime", "tools": [TOOL]})
        content = [{"type": "input_text", "text": asked}]
        item = {"type": "message", "role": "user", "content": content}
        await call.send("conversation.item.create", item=item)
        await call.send("response.create")
        done = await call.until("response.function_call_arguments.done")
        assert done["arguments"] == '{"city": "Paris"}'
        await call.until("response.done")
        output = {"type": "function_call_output", "call_id": done["call_id"], "output": "sun"}
        await call.send("conversation.item.create", item=output)
        await call.send("conversation.item.create", item=output)
        await call.send("response.create")
        await call.until("error")
        await call.until("response.done", 2)

    call.run(client)
    assert list(results(call.history).values()) == [['"sun"']]
    assert call.history[-1]["content"] == "It is sunny."
    assert [message["role"] for message in call.language.asked[-1]] == ["user", "assistant", "tool"]


def test_a_function_that_outlasts_an_interruption_is_not_lost():
    lines = [Calls({"weather": {"city": "Paris"}}), "Just a second.", "It is sunny."]
    call = question(lines)
    call.hears("are you there?", 3.0, 4.0)

    async def client(call):
        await call.send("session.update", session={"type": "realtime", "tools": [TOOL]})
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=1.5)
        done = await call.until("response.function_call_arguments.done")
        await call.speak(1.0, then_quiet_s=3.0)
        await call.until("response.done", 2)
        output = {"type": "function_call_output", "call_id": done["call_id"], "output": "sun"}
        await call.send("conversation.item.create", item=output)
        await call.send("response.create")
        await call.until("response.done", 3)

    call.run(client)
    assert [len(found) for found in results(call.history).values()] == [1]
    assert call.history[-1]["content"] == "It is sunny."


def test_the_agents_own_tools_run_here_unseen():
    agent = Agent("You are a shop.")
    sold = []

    @agent.tool
    async def sell(what: str) -> str:
        """Sell something."""
        sold.append(what)
        return "sold"

    call = question([Calls({"sell": {"what": "tea"}}), "Sold."])
    call.agent = agent

    async def client(call):
        await call.send("session.update", session={"type": "realtime", "tools": [TOOL]})
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=3.0)
        await call.until("response.done")

    call.run(client)
    assert sold == ["tea"]
    assert call.all("response.function_call_arguments.done") == []


def test_found_turns_may_wait_for_the_client():
    call = question(["It is far away."])
    detection = {"type": "server_vad", "create_response": False}

    async def client(call):
        session = {"type": "realtime", "audio": {"input": {"turn_detection": detection}}}
        await call.send("session.update", session=session)
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=3.0)
        await call.until("conversation.item.input_audio_transcription.completed")
        assert call.all("response.created") == []
        await call.send("response.create", response={"instructions": "Be kind."})
        await call.until("response.done")

    call.run(client)
    assert call.language.asked[-1][-1] == {"role": "system", "content": "Be kind."}
    assert [m["content"] for m in call.history] == ["tell me about Saturn.", "It is far away."]


def test_a_cancelled_response_falls_silent():
    call = question([LONG])

    async def client(call):
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=3.0)
        await call.send("response.cancel")
        done = await call.until("response.done")
        assert done["response"]["status_details"]["reason"] == "client_cancelled"
        before_s = call.audio_s
        await call.quiet(1.0)
        assert call.audio_s == before_s

    call.run(client)
    assert LONG.startswith(call.history[-1]["content"]) and call.history[-1]["content"] != LONG


def test_messages_are_taken_out_and_put_between():
    call = RealtimeCall(["Yes."])

    def message(item_id, text):
        content = [{"type": "input_text", "text": text}]
        return {"id": item_id, "type": "message", "role": "user", "content": content}

    async def client(call):
        for name, text in (("a", "one"), ("c", "three"), ("d", "four")):
            await call.send("conversation.item.create", item=message(name, text))
        between = {"item": message("b", "two"), "previous_item_id": "a"}
        await call.send("conversation.item.create", **between)
        await call.send("conversation.item.delete", item_id="d")
        await call.send("response.create")
        await call.until("response.done")

    call.run(client)
    assert [m["content"] for m in call.history] == ["one", "two", "three", "Yes."]


def test_a_filler_belongs_to_the_response_behind_it():
    agent = Agent("You are a shop.")

    @agent.tool(filler="One moment.")
    async def look_up() -> str:
        """Look something up."""
        await asyncio.sleep(3)
        return "found"

    call = question([Calls({"look_up": {}}), "Here it is."])
    call.agent = agent

    async def client(call):
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=8.0)
        await call.until("response.done")

    call.run(client)
    (done,) = call.all("response.done")
    assert len(call.all("response.created")) == 1
    assert [item["content"][0]["transcript"] for item in done["response"]["output"]] == [
        "One moment.",
        "Here it is.",
    ]


def test_a_model_that_fails_once_costs_an_explicit_response_no_second_one():
    call = RealtimeCall([DEAD, "Here it is."])
    content = [{"type": "input_text", "text": "Where is it?"}]
    item = {"type": "message", "role": "user", "content": content}

    async def client(call):
        await call.send("conversation.item.create", item=item)
        await call.send("response.create")
        await call.quiet(12.0)

    call.run(client)
    (done,) = call.all("response.done")
    assert done["response"]["status"] == "completed"
    assert len(call.all("response.created")) == 1
    texts = [item["content"][0]["transcript"] for item in done["response"]["output"]]
    assert texts[-1] == "Here it is." and len(texts) == 2


def test_a_conversation_takes_the_settings_of_the_moment_it_begins():
    now = Settings(asr=AsrSettings(private=True), playout=PlayoutSettings(lead_s=0.5))
    call = question(["It is far away."])
    call.now = lambda: now

    async def client(call):
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=4.0)
        await call.until("response.done")

    call.run(client)
    assert call.session.is_private and call.history[-1]["content"] == "It is far away."


def test_a_call_is_taken_out_of_the_context_with_its_output():
    call = RealtimeCall(["Yes."])

    async def client(call):
        made = {"type": "function_call", "name": "weather", "arguments": "{}", "call_id": "c"}
        result = {"type": "function_call_output", "call_id": "c", "output": "rain"}
        for item in (typed("Hello"), {"id": "made", **made}, result):
            await call.send("conversation.item.create", item=item)
        await call.send("conversation.item.delete", item_id="made")
        await call.until("conversation.item.deleted")
        await call.send("response.create")
        await call.until("response.done")

    call.run(client)
    assert call.language.asked == [[{"role": "user", "content": "Hello"}]]


def typed(text):
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


IN_TEXT = {"type": "realtime", "output_modalities": ["text"]}


def test_a_turn_may_be_answered_in_text():
    call = question(["It is\nfar away."])

    async def client(call):
        await call.send("session.update", session=IN_TEXT)
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=4.0)
        done = await call.until("response.output_text.done")
        assert done["text"].strip() == "It is\nfar away."
        await call.until("response.done")
        await call.quiet(0.5)
        # The floor is open again.
        assert call.session.recorder.decisions[-1]["kind"] == "COMMIT"

    call.run(client)
    assert call.audio_s == 0 and call.all("response.output_audio_transcript.delta") == []
    assert [m["content"].strip() for m in call.history] == [
        "tell me about Saturn.",
        "It is\nfar away.",
    ]
    assert len(call.all("response.created")) == 1


def test_a_guess_at_the_end_of_a_turn_is_not_written_before_it_has_ended():
    call = RealtimeCall(["One.", "Two."])
    call.hears("tell me about Saturn", 0.5, 1.5)
    call.hears("and its rings.", 1.85, 2.7)

    async def client(call):
        await call.send("session.update", session=IN_TEXT)
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=0.35)
        await call.speak(0.9, then_quiet_s=4.0)
        await call.until("response.done")

    call.run(client)
    kinds = [decision["kind"] for decision in call.session.recorder.decisions]
    assert kinds.count("SPECULATE") == 2 and kinds.count("COMMIT") == 1
    assert [m["content"].strip() for m in call.history] == [
        "tell me about Saturn and its rings.",
        "Two.",
    ]
    assert [done["text"].strip() for done in call.all("response.output_text.done")] == ["Two."]


def test_a_function_may_be_called_and_answered_in_text():
    call = question([Calls({"weather": {"city": "Rome"}}), "It rains."])

    async def client(call):
        await call.send("session.update", session={**IN_TEXT, "tools": [TOOL]})
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=3.0)
        made = await call.until("response.function_call_arguments.done")
        await call.until("response.done")
        output = {"type": "function_call_output", "call_id": made["call_id"], "output": "rain"}
        await call.send("conversation.item.create", item=output)
        await call.send("response.create")
        await call.until("response.done", 2)

    call.run(client)
    assert list(results(call.history).values()) == [['"rain"']]
    assert [done["text"].strip() for done in call.all("response.output_text.done")] == ["It rains."]
    assert call.history[-1]["content"].strip() == "It rains."


def test_typed_questions_are_answered_in_text_one_after_the_other():
    call = RealtimeCall(["Hello.", "Bye.", DEAD, "Again."])

    async def client(call):
        await call.send("session.update", session={**IN_TEXT, **MANUAL})
        for number, text in enumerate(("Hi", "Go", "Still there?", "And now?"), 1):
            await call.send("conversation.item.create", item=typed(text))
            await call.send("response.create")
            await call.until("response.done", number)

    call.run(client)
    statuses = [event["response"]["status"] for event in call.all("response.done")]
    assert statuses == ["completed", "completed", "failed", "completed"]
    assert [m["content"].strip() for m in call.history] == [
        "Hi",
        "Hello.",
        "Go",
        "Bye.",
        "Still there?",
        "And now?",
        "Again.",
    ]


def test_what_a_tool_of_the_agents_own_says_is_written_too():
    agent = Agent("You are a shop.")

    @agent.tool(filler="One moment.", filler_after_s=0.1)
    async def weather(city: str) -> str:
        """Weather of a city."""
        await asyncio.sleep(1.0)
        return "rain"

    call = question([Calls({"weather": {"city": "Rome"}}), "It rains."])
    call.agent = agent

    async def client(call):
        await call.send("session.update", session=IN_TEXT)
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=4.0)
        done = await call.until("response.done")
        texts = [item["content"][0]["text"].strip() for item in done["response"]["output"]]
        assert texts == ["One moment.", "It rains."]

    call.run(client)
    assert call.audio_s == 0


def test_an_answer_may_be_about_something_else_and_be_forgotten():
    call = question(["It is far away.", "I am a teapot.", "Which one?"])

    async def client(call):
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=4.0)
        await call.until("response.done")
        said = {"conversation": "none", "input": [], "instructions": "Say that you are a teapot."}
        await call.send("response.create", response=said)
        await call.until("response.done", 2)
        await call.send("response.create")
        await call.until("response.done", 3)

    call.run(client)
    assert call.language.asked[1] == [
        {"role": "user", "content": "Say that you are a teapot."},
    ]
    assert "teapot" not in str(call.language.asked[2])
    assert [m["content"] for m in call.history] == [
        "tell me about Saturn.",
        "It is far away.",
        "Which one?",
    ]


def test_a_model_that_cannot_be_asked_on_the_side_says_so():
    call = RealtimeCall([])

    async def client(call):
        aside = {"conversation": "none", "output_modalities": ["text"]}
        await call.send("response.create", response=aside)
        done = await call.until("response.done")
        assert done["response"]["status"] == "failed"
        assert done["response"]["status_details"]["error"]["message"]

    call.run(client)


@pytest.mark.parametrize("by", ["the client", "speech"])
def test_an_answer_in_text_is_cut_where_it_is(by):
    call = question([LONG, "Which one?"])
    call.hears("no, not that one.", 4.5, 5.5)
    call.token_s = 0.5

    async def client(call):
        await call.send("session.update", session=IN_TEXT)
        await call.quiet(0.5)
        await call.speak(1.0, then_quiet_s=3.0)
        if by == "the client":
            await call.send("response.cancel")
        else:
            await call.speak(1.0, then_quiet_s=3.0)
        done = await call.until("response.done")
        (item,) = done["response"]["output"]
        assert (done["response"]["status"], item["status"]) == ("cancelled", "incomplete")
        call.written = item["content"][0]["text"]
        await call.quiet(1.0)

    call.run(client)
    assert LONG.startswith(call.written.strip()) and len(call.written) < len(LONG)
    assert call.history[1]["content"] == call.written
    if by == "speech":
        assert [m["content"].strip() for m in call.history[2:]] == [
            "no, not that one.",
            "Which one?",
        ]
