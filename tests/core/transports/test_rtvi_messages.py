"""RTVI, said in our vocabulary and back. A real client: tests/browser/test_rtvi.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from agent.transports.rtvi_messages import LABEL, VERSION, RtviProtocol

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=6,
)


class Talk:
    def __init__(self):
        self.protocol = RtviProtocol("duplex 1", lambda: "2026-01-01T00:00:00Z")

    def sends(self, kind, data=None, named="m1"):
        return self.protocol.read({"label": LABEL, "type": kind, "id": named, "data": data})

    def told(self, event, /, **fields):
        """What the client is told of one event of ours."""
        return [
            (message["type"], message.get("data"))
            for message in self.protocol.told({"type": event, **fields})
        ]

    def kinds(self, event, /, **fields):
        return [told for told, _ in self.told(event, **fields)]


def test_a_client_that_is_ready_is_told_that_the_bot_is():
    (answer,), ours = Talk().sends("client-ready", named="r7")
    assert (answer["label"], answer["type"], answer["id"]) == (LABEL, "bot-ready", "r7")
    assert answer["data"] == {"version": VERSION, "about": {"library": "duplex 1"}}
    assert ours is None


def test_what_a_client_sends_means_something_of_ours():
    talk = Talk()
    assert talk.sends("send-text", {"content": "Hi"}) == ([], {"type": "text", "text": "Hi"})
    assert talk.sends("disconnect-bot") == ([], {"type": "end"})
    (answer,), ours = talk.sends("client-message", {"t": "mute", "d": {"muted": True}})
    assert answer["type"] == "server-response" and answer["id"] == "m1"
    assert ours == {"type": "mute", "muted": True}


def test_a_client_cannot_name_another_type_in_its_data():
    _, ours = Talk().sends("client-message", {"t": "mute", "d": {"type": "end"}})
    assert ours == {"type": "mute"}


@pytest.mark.parametrize(
    ("kind", "data"),
    [("dance", None), ("send-text", {"content": 7}), ("client-message", {"t": "ready"})],
)
def test_what_is_not_known_is_answered_with_an_error(kind, data):
    (answer,), ours = Talk().sends(kind, data)
    assert (answer["type"], answer["id"], ours) == ("error-response", "m1", None)
    assert kind in answer["data"]["error"]


@given(JSON)
def test_whatever_comes_is_answered_or_understood(message):
    answers, ours = RtviProtocol("x", str).read(message)
    assert answers or ours
    if isinstance(message, dict):
        RtviProtocol("x", str).read({**message, "label": LABEL})


def test_speech_is_told_where_it_holds_the_floor():
    talk = Talk()
    assert talk.kinds("floor", user="speaking", agent="silent") == ["user-started-speaking"]
    assert talk.kinds("floor", user="silent", agent="silent") == []
    assert talk.kinds("decision", kind="COMMIT") == ["user-stopped-speaking"]
    assert talk.kinds("floor", user="silent", agent="thinking") == []
    assert talk.kinds("floor", user="silent", agent="speaking") == ["bot-started-speaking"]
    # A cough: neither is told of it, and the bot has not stopped.
    assert talk.kinds("floor", user="speaking", agent="paused") == []
    assert talk.kinds("decision", kind="BACKCHANNEL") == []
    assert talk.kinds("floor", user="silent", agent="speaking") == []
    assert talk.kinds("decision", kind="BARGE_IN") == ["user-started-speaking"]
    assert talk.kinds("floor", user="speaking", agent="silent") == ["bot-stopped-speaking"]


def test_what_was_understood_is_shown():
    talk = Talk()
    ((kind, data),) = talk.told("transcript", role="user", text="Hello", final=True)
    assert kind == "user-transcription"
    assert (data["text"], data["final"]) == ("Hello", True)
    assert talk.told("transcript", role="user", text="", final=True) == []


def test_words_are_told_once_each_as_they_were_heard():
    talk = Talk()

    def heard(text, *, final=False):
        return talk.told("transcript", role="assistant", text=text, final=final)

    assert heard("Saturn is") == [("bot-tts-text", {"text": "Saturn is"})]
    assert heard("Saturn is far") == [("bot-tts-text", {"text": "far"})]
    (_, transcription), (_, output) = heard("Saturn is far", final=True)
    assert transcription == {"text": "Saturn is far"}
    assert output["text"] == "Saturn is far" and output["spoken_status"] == "completed"
    # The next answer begins anew, also with the same words.
    assert heard("Saturn is")[0] == ("bot-tts-text", {"text": "Saturn is"})


def test_tools_are_told_of_by_their_id_alone():
    protocol = Talk().protocol
    begun, over = protocol.called("c1"), protocol.returned("c1")
    assert begun["data"] == {"tool_call_id": "c1"} and begun["id"] != over["id"]
    assert over["data"] == {"tool_call_id": "c1", "cancelled": False}


def test_an_error_of_ours_is_one_there():
    ((kind, data),) = Talk().told("error", message="The voice failed.")
    assert kind == "error" and data["message"] == "The voice failed." and not data["fatal"]
