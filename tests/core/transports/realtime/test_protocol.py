"""The protocol without audio: what a client sends, what happens, what it is told."""

import base64
import json

import pytest

from agent.transports.realtime.commands import (
    AddMessage,
    CallResult,
    CancelAside,
    Configure,
    EndTurn,
    ForgetCall,
    Hear,
    Interrupt,
    Place,
    Respond,
    RespondAside,
    Rewrite,
)
from agent.transports.realtime.configuration import Configuration
from agent.transports.realtime.protocol import RealtimeProtocol

TOOL = {"type": "function", "name": "look", "parameters": {"type": "object", "properties": {}}}
AUDIO = base64.b64encode(bytes(4800)).decode()
MANUAL = {"audio": {"input": {"turn_detection": None}}}


class Talk:
    def __init__(self, *, is_beta=False, session=None):
        settings = Configuration(
            "duplex",
            "Be brief.",
            "af_heart",
            frozenset({"af_heart"}),
            frozenset({"own"}),
            transcription={"model": "moonshine"},
        )
        self.protocol = RealtimeProtocol(settings, is_beta=is_beta)
        self.protocol.begin()
        self.protocol.take()
        if session:
            self.send("session.update", session=session)

    def send(self, kind, **fields):
        self.protocol.read(json.dumps({"type": kind, **fields}))
        return self.take()

    def take(self):
        self.events, self.commands = self.protocol.take()
        return self

    def told(self, event, /, **fields):
        self.protocol.told({"type": event, **fields})
        return self.take()

    def says(self, words, spoken=None):
        """The agent says words of 100 ms each, of which some have been heard."""
        for number, word in enumerate(words.split()):
            self.protocol.queued(4800, [(word, 1200)])
            self.protocol.sent(bytes(4800))
            heard = " ".join(words.split()[: number + 1])
            self.protocol.told({"type": "transcript", "role": "assistant", "text": heard})
        return self.take()

    @property
    def kinds(self):
        return [event["type"] for event in self.events]

    @property
    def error(self):
        (event,) = [event for event in self.events if event["type"] == "error"]
        return event["error"]

    def one(self, kind):
        (event,) = [event for event in self.events if event["type"] == kind]
        return event


def test_a_turn_is_speech_then_an_item_then_its_text():
    talk = Talk()
    started = talk.told("floor", user="speaking", agent="silent", at_s=0.5).one(
        "input_audio_buffer.speech_started"
    )
    talk.told("transcript", role="user", text="What is", final=False)
    delta = talk.told("transcript", role="user", text="What is it", final=False).events[0]
    assert (delta["delta"], delta["item_id"]) == ("What is", started["item_id"])
    talk.told("decision", kind="COMMIT", at_s=2.5, evidence={"silence_s": 0.5})
    assert talk.kinds == [
        "input_audio_buffer.speech_stopped",
        "input_audio_buffer.committed",
        "conversation.item.added",
        "conversation.item.done",
    ]
    assert talk.events[0]["audio_end_ms"] == 2000
    talk.told("transcript", role="user", text="What is it?", final=True)
    assert [event.get("delta") for event in talk.events] == [" it?", None]
    assert talk.events[1]["transcript"] == "What is it?"
    assert talk.events[1]["usage"]["seconds"] == 1.5


def test_a_sound_over_the_agent_is_told_only_when_it_takes_the_floor():
    talk = Talk()
    assert talk.told("floor", user="speaking", agent="speaking", at_s=1.0).events == []
    assert talk.told("transcript", role="user", text="Mhm", final=False).events == []
    assert talk.told("decision", kind="BACKCHANNEL", at_s=1.5, evidence={}).events == []
    talk.told("floor", user="speaking", agent="speaking", at_s=3.0)
    talk.told("decision", kind="BARGE_IN", at_s=3.4, evidence={})
    assert talk.kinds == ["input_audio_buffer.speech_started"]


def test_speech_that_was_no_turn_only_stops():
    talk = Talk()
    talk.told("floor", user="speaking", agent="silent", at_s=0.5)
    talk.told("decision", kind="HOLD", at_s=2.0, evidence={})
    assert talk.kinds == ["input_audio_buffer.speech_stopped"]
    assert talk.told("transcript", role="user", text="", final=True).events == []


def test_a_client_that_wants_no_text_sees_none():
    talk = Talk(session={"audio": {"input": {"transcription": None}}})
    talk.told("floor", user="speaking", agent="silent", at_s=0.5)
    talk.told("decision", kind="COMMIT", at_s=2.5, evidence={})
    assert talk.told("transcript", role="user", text="Hello", final=True).events == []


def test_an_answer_is_a_response_whose_text_is_what_was_heard():
    talk = Talk()
    talk.says("It rains")
    assert talk.kinds[:4] == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
    ]
    deltas = [e["delta"] for e in talk.events if e["type"].endswith("audio_transcript.delta")]
    assert "".join(deltas) == "It rains"
    assert base64.b64decode(talk.events[4]["delta"]) == bytes(4800)
    talk.protocol.ended()
    done = talk.take().one("response.done")["response"]
    assert done["status"] == "completed"
    assert done["output"][0]["content"] == [{"type": "output_audio", "transcript": "It rains"}]
    assert talk.kinds[-2:] == ["conversation.item.done", "response.done"]


def test_an_interruption_ends_the_response_where_it_was():
    talk = Talk()
    talk.says("It rains")
    talk.protocol.interrupted()
    done = talk.take().one("response.done")["response"]
    assert (done["status"], done["status_details"]["reason"]) == ("cancelled", "turn_detected")
    assert done["output"][0]["status"] == "incomplete"
    # A packet that was under way belongs to nothing any more.
    talk.protocol.sent(bytes(960))
    assert talk.take().events == []


def test_a_response_is_cancelled_once():
    talk = Talk()
    talk.says("It rains")
    assert talk.send("response.cancel").commands == [Interrupt()]
    talk.protocol.interrupted()
    reason = talk.take().one("response.done")["response"]["status_details"]["reason"]
    assert reason == "client_cancelled"
    assert talk.send("response.cancel").error["code"] == "response_cancel_not_active"


def test_a_response_that_waits_is_cancelled_without_a_word():
    talk = Talk(session=MANUAL)
    talk.send("input_audio_buffer.append", audio=AUDIO)
    talk.send("input_audio_buffer.commit")
    talk.send("response.create")
    assert talk.send("response.cancel").commands == []
    assert talk.one("response.done")["response"]["status"] == "cancelled"
    talk.protocol.turn_stored()
    assert talk.take().commands == []


def test_truncation_leaves_what_the_client_says_was_heard():
    talk = Talk()
    talk.says("one two three four")
    item = talk.one("response.output_item.added")["item"]["id"]
    talk.protocol.interrupted()
    talk.take()
    talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=160)
    assert talk.commands == [Rewrite(Place("assistant", "one two three four"), "one two")]
    assert talk.one("conversation.item.truncated")["audio_end_ms"] == 160
    kept = talk.send("conversation.item.retrieve", item_id=item).events[0]["item"]
    assert kept["content"][0]["transcript"] == "one two"
    later = {"item_id": item, "content_index": 0, "audio_end_ms": 200}
    assert "already shorter" in talk.send("conversation.item.truncate", **later).error["message"]


def test_truncating_what_is_being_said_silences_it_first():
    talk = Talk()
    talk.says("one two three")
    item = talk.one("response.output_item.added")["item"]["id"]
    talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=60)
    assert talk.commands == [Interrupt()] and talk.events == []
    talk.protocol.interrupted()
    talk.take()
    assert talk.commands == [Rewrite(Place("assistant", "one two three"), "one")]
    assert talk.kinds[-2:] == ["response.done", "conversation.item.truncated"]


def test_truncation_may_also_bring_words_back():
    talk = Talk()
    talk.protocol.queued(9600, [("one", 1200), ("two", 3600)])
    talk.protocol.sent(bytes(9600))
    item = talk.take().one("response.output_item.added")["item"]["id"]
    # We thought that nothing had sounded yet.
    talk.protocol.interrupted()
    talk.take()
    talk.send("conversation.item.truncate", item_id=item, content_index=0, audio_end_ms=60)
    assert talk.commands == [AddMessage({"role": "assistant", "content": "one"}, first=True)]


@pytest.mark.parametrize(
    "change",
    [{"item_id": "nobody"}, {"content_index": 1}, {"audio_end_ms": -1}, {"audio_end_ms": 10**6}],
)
def test_a_wrong_truncation_is_refused(change):
    talk = Talk()
    talk.says("one")
    item = talk.one("response.output_item.added")["item"]["id"]
    right = {"item_id": item, "content_index": 0, "audio_end_ms": 50}
    assert talk.send("conversation.item.truncate", **{**right, **change}).error
    assert talk.commands == []


def test_a_function_is_called_at_the_client_and_answered_once():
    talk = Talk(session={"tools": [TOOL]})
    talk.protocol.called("look", "c1", '{"x": 1}')
    talk.protocol.ended()
    talk.take()
    done = talk.one("response.function_call_arguments.done")
    assert (done["call_id"], done["name"], done["arguments"]) == ("c1", "look", '{"x": 1}')
    assert talk.one("response.done")["response"]["output"][0]["type"] == "function_call"

    output = {"type": "function_call_output", "call_id": "c1", "output": "rain"}
    assert talk.send("conversation.item.create", item=output).commands == [CallResult("c1", "rain")]
    # The answer waits until the output is in the context.
    assert talk.send("response.create").commands == []
    assert talk.kinds == ["response.created"]
    talk.protocol.result_stored("c1")
    assert talk.take().commands == [Respond()]
    assert "already" in talk.send("conversation.item.create", item=output).error["message"]


def test_an_output_for_no_call_is_refused():
    output = {"type": "function_call_output", "call_id": "c1", "output": "rain"}
    assert Talk().send("conversation.item.create", item=output).error["code"] == "item_not_found"


def test_a_call_of_the_agents_own_tool_keeps_the_response_open():
    talk = Talk()
    talk.send("response.create")
    talk.protocol.called("own", "c1", "{}")
    talk.protocol.ended()
    assert talk.take().events == []
    talk.says("Done.")
    talk.protocol.ended()
    assert len(talk.take().one("response.done")["response"]["output"]) == 1


def test_a_line_that_bridges_the_wait_is_part_of_the_response_the_client_asked_for():
    talk = Talk(session=MANUAL)
    talk.send("input_audio_buffer.append", audio=AUDIO)
    talk.send("input_audio_buffer.commit")
    talk.send("response.create")
    # The model knows nothing of it yet: the text of the turn is late.
    talk.says("One moment")
    talk.protocol.ended()
    assert "response.done" not in talk.take().kinds
    talk.told("transcript", role="user", text="Hello", final=True)
    talk.protocol.turn_stored()
    assert talk.take().commands == [Respond("", None)]
    talk.says("So")
    talk.protocol.ended(more_follows=True)
    assert "response.done" not in talk.take().kinds
    talk.says("It rains")
    talk.protocol.ended()
    done = talk.take().one("response.done")["response"]
    assert [item["content"][0]["transcript"] for item in done["output"]] == [
        "One moment",
        "So",
        "It rains",
    ]


def test_a_line_that_nobody_asked_for_is_a_response_of_its_own():
    talk = Talk()
    talk.says("One moment")
    talk.protocol.ended(more_follows=True)
    assert talk.take().one("response.done")["response"]["status"] == "completed"


def test_an_answer_in_text_is_told_as_it_is_written_and_then_remembered():
    talk = Talk(session={"type": "realtime", "output_modalities": ["text"]})
    assert talk.one("session.updated")["session"]["output_modalities"] == ["text"]
    assert talk.protocol.writes
    talk.protocol.wrote("It ")
    talk.protocol.wrote("rains.")
    talk.take()
    assert talk.kinds == [
        "response.created",
        "response.output_item.added",
        "conversation.item.added",
        "response.content_part.added",
        "response.output_text.delta",
        "response.output_text.delta",
    ]
    assert talk.one("response.created")["response"]["output_modalities"] == ["text"]
    talk.protocol.ended()
    assert talk.take().one("response.output_text.done")["text"] == "It rains."
    assert talk.kinds[-2:] == ["conversation.item.done", "response.done"]
    done = talk.one("response.done")["response"]
    assert done["output"][0]["content"] == [{"type": "output_text", "text": "It rains."}]
    assert talk.commands == [AddMessage({"role": "assistant", "content": "It rains."})]


def test_of_a_written_answer_that_is_interrupted_what_was_sent_is_remembered():
    talk = Talk(session={"type": "realtime", "output_modalities": ["text"]})
    talk.protocol.wrote("It ")
    talk.protocol.interrupted()
    assert talk.take().one("response.done")["response"]["output"][0]["status"] == "incomplete"
    assert talk.commands == [AddMessage({"role": "assistant", "content": "It "})]


def test_one_answer_may_be_in_text():
    talk = Talk()
    talk.send("response.create", response={"output_modalities": ["text"]})
    assert talk.protocol.writes
    talk.protocol.wrote("Yes.")
    talk.protocol.ended()
    assert not talk.protocol.writes


def test_an_answer_in_text_that_fails_says_so():
    talk = Talk(session={"type": "realtime", "output_modalities": ["text"]})
    talk.protocol.ended(failure="the model is gone")
    done = talk.take().one("response.done")["response"]
    assert done["status"] == "failed"
    assert done["status_details"]["error"]["message"] == "the model is gone"


def test_answers_outside_the_conversation_run_beside_it_and_leave_no_trace():
    talk = Talk()
    talk.says("It rains")
    aside = {"conversation": "none", "output_modalities": ["text"], "metadata": {"for": "me"}}
    talk.send("response.create", response=aside)
    response = talk.one("response.created")["response"]
    assert (response["conversation_id"], response["metadata"]) == (None, {"for": "me"})
    (command,) = talk.commands
    assert isinstance(command, RespondAside) and command.response_id == response["id"]
    talk.protocol.asides.wrote(response["id"], "Weather.")
    talk.protocol.asides.called(response["id"], "look", "call_1", "{}")
    talk.protocol.asides.ended(response["id"])
    done = talk.take().one("response.done")["response"]
    assert [item["type"] for item in done["output"]] == ["message", "function_call"]
    assert not any(kind.startswith("conversation.") for kind in talk.kinds)
    assert talk.commands == []
    assert talk.protocol.answering.is_active


def test_an_answer_outside_the_conversation_is_cancelled_by_its_id():
    talk = Talk()
    aside = {"conversation": "none", "output_modalities": ["text"]}
    response_id = talk.send("response.create", response=aside).one("response.created")["response"][
        "id"
    ]
    assert talk.send("response.cancel", response_id=response_id).commands == [
        CancelAside(response_id)
    ]
    assert talk.one("response.done")["response"]["status"] == "cancelled"
    talk.protocol.asides.wrote(response_id, "too late")
    assert talk.take().events == []


def test_an_answer_outside_the_conversation_waits_for_the_words_it_is_about():
    talk = Talk(session=MANUAL)
    talk.send("input_audio_buffer.append", audio=AUDIO)
    talk.send("input_audio_buffer.commit")
    aside = {"conversation": "none", "output_modalities": ["text"]}
    assert talk.send("response.create", response=aside).commands == []
    talk.told("transcript", role="user", text="Hello", final=True)
    talk.protocol.turn_stored()
    assert isinstance(talk.take().commands[0], RespondAside)


def test_what_is_said_outside_the_conversation_is_taken_out_of_it_again():
    talk = Talk()
    talk.send("response.create", response={"conversation": "none", "input": []})
    assert talk.commands == [Respond(messages=())]
    talk.says("It rains")
    talk.protocol.ended()
    talk.take()
    assert talk.commands == [Rewrite(Place("assistant", "It rains"), "")]
    assert not any(kind.startswith("conversation.") for kind in talk.kinds)


def test_an_answer_may_be_about_other_things_than_the_conversation():
    talk = Talk()
    talk.send(
        "conversation.item.create",
        item={
            "id": "first",
            "type": "message",
            "role": "user",
            "content": [{"type": "input_text", "text": "Hello"}],
        },
    )
    given = [{"type": "item_reference", "id": "first"}]
    tool = {**TOOL, "name": "other"}
    talk.send(
        "response.create",
        response={"input": given, "tools": [tool], "max_output_tokens": 9, "instructions": "Go."},
    )
    (respond,) = talk.commands
    assert respond.messages == ({"role": "user", "content": "Hello"},)
    assert [tool.name for tool in respond.tools] == ["other"]
    assert (respond.instructions, respond.max_output_tokens) == ("Go.", 9)
    talk.protocol.called("other", "call_1", "{}")
    assert "response.function_call_arguments.done" in talk.take().kinds


def test_one_response_at_a_time():
    talk = Talk()
    first = talk.send("response.create", response={"metadata": {"n": "1"}})
    assert first.one("response.created")["response"]["metadata"] == {"n": "1"}
    code = talk.send("response.create").error["code"]
    assert code == "conversation_already_has_active_response"


def test_manual_turns_end_when_the_client_says_so():
    talk = Talk(session=MANUAL)
    empty = talk.send("input_audio_buffer.commit").error
    assert empty["code"] == "input_audio_buffer_commit_empty"
    talk.send("input_audio_buffer.append", audio=AUDIO)
    assert talk.commands == [Hear(bytes(4800), 24_000)] and talk.events == []
    talk.send("input_audio_buffer.commit")
    assert talk.commands == [EndTurn()]
    assert talk.kinds[0] == "input_audio_buffer.committed"
    # What comes before the text of this turn is known belongs to the next.
    talk.send("input_audio_buffer.append", audio=AUDIO)
    assert talk.commands == []
    talk.send("response.create")
    talk.told("transcript", role="user", text="Hello", final=True)
    assert talk.commands == []
    talk.protocol.turn_stored()
    assert talk.take().commands == [Respond(), Hear(bytes(4800), 24_000)]


def test_a_manual_turn_without_words_does_not_hold_up_the_answer():
    talk = Talk(session=MANUAL)
    talk.send("input_audio_buffer.append", audio=AUDIO)
    talk.send("input_audio_buffer.commit")
    talk.send("response.create")
    talk.told("transcript", role="user", text="", final=True)
    assert talk.commands == [Respond()]


def test_a_cleared_buffer_is_forgotten():
    talk = Talk(session=MANUAL)
    talk.send("input_audio_buffer.append", audio=AUDIO)
    assert talk.send("input_audio_buffer.clear").commands == [EndTurn(discard=True)]
    assert talk.kinds == ["input_audio_buffer.cleared"]
    assert talk.send("input_audio_buffer.commit").error
    # What follows is heard once that is done: all of it may have been sent in one go.
    assert talk.send("input_audio_buffer.append", audio=AUDIO).commands == []
    assert talk.told("decision", kind="HOLD", at_s=1.0, evidence={}).commands == [
        Hear(bytes(4800), 24_000)
    ]


def test_turns_that_are_found_may_wait_for_the_client():
    detection = {"type": "server_vad", "create_response": False}
    talk = Talk(session={"audio": {"input": {"turn_detection": detection}}})
    talk.told("floor", user="speaking", agent="thinking", at_s=0.5)
    assert talk.kinds == ["input_audio_buffer.speech_started"]
    talk.told("decision", kind="COMMIT", at_s=2.5, evidence={})
    talk.told("transcript", role="user", text="Hello", final=True)
    assert talk.send("response.create").commands == []
    talk.protocol.turn_stored()
    assert talk.take().commands == [Respond()]


def test_a_turn_found_here_can_be_ended_by_the_client():
    talk = Talk()
    assert talk.send("input_audio_buffer.commit").error
    talk.told("floor", user="speaking", agent="silent", at_s=0.5)
    assert talk.send("input_audio_buffer.commit").commands == [EndTurn()]
    assert talk.protocol.awaits_silence


def test_items_are_added_where_they_are_wanted():
    talk = Talk()

    def add(item_id, text, **more):
        part = {"type": "input_text", "text": text}
        item = {"id": item_id, "type": "message", "role": "user", "content": [part]}
        return talk.send("conversation.item.create", item=item, **more)

    assert add("a", "one").commands == [AddMessage({"role": "user", "content": "one"})]
    add("c", "three")
    added = add("b", "two", previous_item_id="a")
    message = {"role": "user", "content": "two"}
    assert added.commands == [AddMessage(message, Place("user", "one"))]
    assert added.one("conversation.item.added")["previous_item_id"] == "a"
    assert add("z", "zero", previous_item_id="root").commands[0].first
    assert add("a", "again").error and add("y", "x", previous_item_id="q").error


def test_the_same_words_said_twice_are_told_apart():
    talk = Talk()
    for name in "ab":
        part = {"type": "input_text", "text": "yes"}
        item = {"id": name, "type": "message", "role": "user", "content": [part]}
        talk.send("conversation.item.create", item=item)
    deleted = talk.send("conversation.item.delete", item_id="a")
    assert deleted.commands == [Rewrite(Place("user", "yes", later=1), "")]
    assert deleted.kinds == ["conversation.item.deleted"]


def test_what_was_misheard_is_known_by_its_better_words():
    talk = Talk()
    talk.told("floor", user="speaking", agent="silent", at_s=0.5)
    item = talk.told("decision", kind="COMMIT", at_s=2.5, evidence={}).events[-1]["item"]["id"]
    talk.told("transcript", role="user", text="two Paris", final=True)
    talk.told("correction", text="to Paris", replaced="two Paris")
    assert talk.send("conversation.item.delete", item_id=item).commands == [
        Rewrite(Place("user", "to Paris"), "")
    ]


def test_a_history_with_calls_can_be_told():
    talk = Talk()
    call = {"type": "function_call", "name": "look", "arguments": "{}", "call_id": "old"}
    (added,) = talk.send("conversation.item.create", item=call).commands
    assert added.message["tool_calls"][0]["id"] == "old"
    output = {"type": "function_call_output", "call_id": "old", "output": "rain"}
    (added,) = talk.send("conversation.item.create", item=output).commands
    assert added.message == {"role": "tool", "tool_call_id": "old", "content": "rain"}


def test_a_call_is_taken_out_with_its_output():
    talk = Talk(session={"tools": [TOOL]})
    talk.protocol.called("look", "call_1", "{}")
    call = talk.take().one("conversation.item.done")["item"]
    assert "waits" in talk.send("conversation.item.delete", item_id=call["id"]).error["message"]
    result = {"type": "function_call_output", "call_id": "call_1", "output": "rain"}
    talk.send("conversation.item.create", item=result)
    talk.protocol.result_stored("call_1")
    output = talk.one("conversation.item.done")["item"]
    for item in (output, call):
        assert talk.send("conversation.item.delete", item_id=item["id"]).commands == [
            ForgetCall("call_1")
        ]
        assert talk.kinds == ["conversation.item.deleted"]


def test_settings_are_changed_and_told():
    talk = Talk()
    updated = talk.send("session.update", session={"instructions": "Sing.", "tools": [TOOL]})
    (command,) = updated.commands
    assert isinstance(command, Configure) and command.settings.instructions == "Sing."
    assert updated.one("session.updated")["session"]["tools"][0]["name"] == "look"
    assert talk.send("session.update", session={}).commands == []
    talk.told("floor", user="speaking", agent="silent", at_s=0.5)
    to_manual = talk.send("session.update", session=MANUAL)
    assert to_manual.commands[1:] == [EndTurn(discard=True)]


def test_telephone_audio_goes_both_ways():
    law = {"type": "audio/pcmu"}
    talk = Talk(session={"audio": {"input": {"format": law}, "output": {"format": law}}})
    silence = base64.b64encode(b"\xff" * 80).decode()
    talk.send("input_audio_buffer.append", audio=silence)
    assert talk.commands == [Hear(bytes(160), 8_000)]
    talk.says("one two")
    audio = [e["delta"] for e in talk.events if e["type"] == "response.output_audio.delta"]
    assert abs(sum(len(base64.b64decode(part)) for part in audio) - 1600) <= 40


def test_the_beta_hears_its_own_names():
    talk = Talk(is_beta=True)
    updated = talk.send("session.update", session={"input_audio_format": "g711_ulaw"})
    session = updated.one("session.updated")["session"]
    assert session["input_audio_format"] == "g711_ulaw" and session["modalities"]
    talk.says("one")
    assert "conversation.item.created" in talk.kinds and "response.audio.delta" in talk.kinds
    talk.protocol.ended()
    assert (
        talk.take().one("response.done")["response"]["output"][0]["content"][0]["type"] == "audio"
    )
    assert "conversation.item.done" not in talk.kinds


@pytest.mark.parametrize(
    ("message", "code"),
    [
        (b"\0", "invalid_value"),
        ("{", "invalid_json"),
        ("[1]", "invalid_json"),
        ('{"type": "a", "x": NaN}', "invalid_json"),
        ('{"type": "a", "x": "\\ud800"}', "invalid_json"),
        ('{"type": "a", "x": ' + "[" * 40 + "]" * 40 + "}", "invalid_json"),
        ('{"type": "a", "x": "' + "x" * (4 << 20) + '"}', "too_long"),
        ("{}", "missing_required_parameter"),
        ('{"type": "nothing.known"}', "unknown_event"),
        ('{"type": "input_audio_buffer.append"}', "invalid_type"),
        ('{"type": "input_audio_buffer.append", "audio": "?"}', "invalid_value"),
        ('{"type": "input_audio_buffer.append", "audio": "AAAA"}', "invalid_value"),
        ('{"type": "response.create", "response": 1}', "invalid_type"),
        ('{"type": "response.create", "response": {"input": [1]}}', "invalid_type"),
        (
            '{"type": "response.create", "response": {"input": [{"type": "item_reference"}]}}',
            "item_not_found",
        ),
        ('{"type": "response.create", "response": {"conversation": "x"}}', "unsupported_value"),
        ('{"type": "response.create", "response": {"metadata": "x"}}', "invalid_type"),
        ('{"type": "session.update", "session": {"output_modalities": []}}', "invalid_value"),
        ('{"type": "response.create", "response": {"nonsense": 1}}', "unsupported_value"),
        ('{"type": "conversation.item.delete", "item_id": "x"}', "item_not_found"),
    ],
)
def test_what_is_wrong_is_told(message, code):
    talk = Talk()
    talk.protocol.read(message)
    assert talk.take().error["code"] == code


def test_an_error_names_the_event_it_is_about():
    assert Talk().send("nonsense", event_id="mine").error["event_id"] == "mine"
