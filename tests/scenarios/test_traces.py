"""A conversation's trace has the times of its records, and none of its words."""

import contextlib

import pytest
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from agent.agent import Agent
from agent.observe.record import TurnRecorder
from agent.observe.traces import Traces
from agent.server.tracing import traced as one_conversation
from tests.scenarios.calling import CallingLanguage, Calls
from tests.scenarios.fakes import DEAD
from tests.scenarios.scripted import ScriptedCall

CANARIES = ("swordfish", "marigold", "periwinkle", "hollyhock")


class Traced:
    """Holds a scripted call and gives the spans it left."""

    def __init__(self):
        self.exporter = InMemorySpanExporter()
        self.traces = Traces(SimpleSpanProcessor(self.exporter))
        self.trace = None

    def watch(self, session):
        self.trace = self.traces.conversation(
            session.recorder, session=session.id, channel="memory"
        )

    def spans(self):
        self.trace.end()
        self.traces.close()
        return self.exporter.get_finished_spans()


@pytest.fixture
def traced():
    return Traced()


def test_spans_have_the_times_of_the_records(traced):
    call = ScriptedCall(watch=traced.watch, agent=Agent("x", greeting="Hello."))
    call.user_says("tell me about saturn", start_s=2.5, end_s=4.0)
    call.agent_says("Saturn is the sixth planet and it has very many rings around it.")
    call.user_says("no the car please", start_s=6.0, end_s=7.5)
    call.agent_says("The car is red.")
    outcome = call.run(14.0, greet=True)

    spans = traced.spans()
    (root,) = (span for span in spans if span.parent is None)
    assert root.name == "conversation"
    assert {span.context.trace_id for span in spans} == {root.context.trace_id}

    def seconds(span):
        return tuple(
            pytest.approx((at - root.start_time) / 1e9, abs=1e-6)
            for at in (span.start_time, span.end_time)
        )

    turns = {span.attributes["turn.number"]: span for span in spans if span.name == "turn"}
    assert list(turns) == [0, 1, 2]
    ends = {"speech_end": "speech", "answer_end": "heard"}
    for record in outcome.turns:
        turn = turns[record.turn]
        assert turn.parent.span_id == root.context.span_id
        stages = {
            span.name: seconds(span)
            for span in spans
            if span.parent and span.parent.span_id == turn.context.span_id
        }
        assert {name: end for name, (_, end) in stages.items()} == {
            ends.get(name, name): at for name, at in record.marks.items()
        }
        assert seconds(turn)[1] == max(record.marks.values())
        assert turn.attributes["turn.was_interrupted"] == record.interrupted
        if record.turn:
            latency_s = turn.attributes["turn.user_bot_latency_seconds"]
            assert latency_s == record.stages()["voice_to_voice_s"]
            # The script's own times: the record itself is right.
            spoken = (2.5, 4.0) if record.turn == 1 else (6.0, 7.5)
            assert [at.expected for at in stages["speech"]] == pytest.approx(spoken, abs=0.1)
            assert turn.attributes["duplex.decision"] == "COMMIT"
    assert [record.interrupted for record in outcome.turns] == [False, True, False]
    assert {"recognised", "speculated", "decided", "first_token", "first_clause"} <= set(
        outcome.turns[1].marks
    )


def test_no_span_holds_a_word_of_caller_agent_or_tool(traced):
    agent = Agent("x", greeting="Hello, hollyhock here.")

    @agent.tool
    async def book(name: str) -> str:
        """Book a table."""
        raise KeyError(f"nobody is called {name}")

    script = [Calls({"book": {"name": "periwinkle"}}), "The marigold is booked for you.", DEAD]
    language = CallingLanguage([*script, DEAD])
    call = ScriptedCall(
        watch=traced.watch, agent=agent, ears={"language": lambda _prompt: language}
    )
    call.user_says("my password is swordfish", start_s=3.0, end_s=4.5)
    call.user_says("is it the marigold", start_s=9.0, end_s=10.5)
    call.client_sends(15.0, {"type": "text", "text": "periwinkle?"})
    outcome = call.run(20.0, greet=True)

    spans = traced.spans()
    assert [span.name for span in spans].count("turn") == len(outcome.turns) == 4
    everything = str(outcome.history) + str(outcome.messages) + str(language.asked)
    written = "".join(span.to_json() for span in spans)
    for canary in CANARIES:
        assert canary in everything, canary
        assert canary not in written, canary


def test_a_process_with_one_conversation_sends_its_trace_as_it_ends(traced):
    stack = contextlib.ExitStack()
    call = ScriptedCall(
        watch=lambda session: stack.enter_context(
            one_conversation(
                traced.traces, session.recorder, session=session.id, channel="sound card"
            )
        )
    )
    call.user_says("tell me about saturn", start_s=0.5, end_s=2.0)
    call.agent_says("Saturn is a planet.")
    call.run(6.0)
    assert not [span for span in traced.exporter.get_finished_spans() if span.parent is None]
    stack.close()

    spans = traced.exporter.get_finished_spans()
    (root,) = (span for span in spans if span.parent is None)
    assert root.attributes["duplex.channel"] == "sound card"
    assert "heard" in {span.name for span in spans}


def test_nothing_is_traced_where_nobody_wants_it():
    with one_conversation(None, TurnRecorder(), session="x", channel="sound card"):
        pass
