"""Two recognisers in a whole conversation, on virtual time."""

import asyncio
from dataclasses import dataclass, field

from agent.agent import Agent
from agent.asr.cloud.client import CloudLostError
from agent.asr.cloud.cloud import Cloud
from agent.asr.hybrid.breaker import BreakerSettings
from agent.asr.hybrid.core import HybridSettings
from agent.asr.hybrid.events import Answer, Mode
from agent.asr.hybrid.health import CloudHealth
from agent.asr.hybrid.recogniser import Sides
from agent.conversation import Conversation
from agent.flow import End, Flow
from agent.settings import Settings
from tests.scenarios.fakes import ScriptedRecogniser
from tests.scenarios.scripted import ScriptedCall


@dataclass
class ScriptedCloud:
    """In the service's place: what it answers to each question, and how long after it."""

    answers: list[tuple[float, str | None]]
    asked: list[float] = field(default_factory=list)
    times_s: list[float] = field(default_factory=list)

    async def transcribe(self, feed):
        self.times_s.append(asyncio.get_running_loop().time())
        heard = 0
        while await feed.wait(heard):
            heard += len(feed.read(heard))
        self.asked.append(heard / 16_000)
        latency_s, text = self.answers.pop(0) if self.answers else (0.1, "")
        await asyncio.sleep(latency_s)
        if text is None:
            raise CloudLostError("the connection broke")
        return Answer(text)

    async def close(self):
        pass


def hybrid_call(*answers: tuple[float, str | None]) -> ScriptedCall:
    return hybrid_call_to(ScriptedCloud(list(answers)))


def hybrid_call_to(there: ScriptedCloud) -> ScriptedCall:
    call = ScriptedCall()
    # Left or not, the cloud is not probed here: a probe outlives the session, as it should.
    health = CloudHealth(BreakerSettings(failures=99, bad_share=2.0))
    cloud = Cloud(lambda: there, health)
    call.ears["recogniser"] = lambda: Sides(
        ScriptedRecogniser(call._words), cloud, HybridSettings(Mode.PREFER_CLOUD)
    )
    return call


def users(outcome) -> list[str]:
    return [message["content"] for message in outcome.history if message["role"] == "user"]


def test_the_clouds_text_is_answered_where_it_differs() -> None:
    spoken = []
    for answers in ([], [(0.05, "what is the capital of France?")]):
        call = hybrid_call(*answers) if answers else ScriptedCall()
        call.user_says("what is the capital of prance?", start_s=0.5, end_s=2.0)
        # Each withdrawn draft has taken a line.
        for _ in range(4):
            call.agent_says("Paris.")
        outcome = call.run(lasting_s=6.0)
        spoken.append((users(outcome), outcome.agent_speaks_at()[0][0]))
    (edge_text, edge_s), (text, at_s) = spoken
    assert edge_text == ["what is the capital of prance?"]
    assert text == ["what is the capital of France?"]
    # What was prepared for the edge's text is made anew, unheard: 0.1 s to the first token.
    assert at_s - edge_s < 0.2


def test_a_cloud_that_agrees_confirms_what_was_prepared() -> None:
    call = hybrid_call((0.05, "What is the capital of France"))
    call.user_says("what is the capital of France?", start_s=0.5, end_s=2.0)
    call.agent_says("Paris.")
    outcome = call.run(lasting_s=6.0)
    assert len(outcome.asked) == 1
    assert outcome.history[-1]["content"] == "Paris."


def test_a_late_text_is_a_correction_and_no_second_turn() -> None:
    call = hybrid_call((2.0, "book a fable for two."))
    call.user_says("book a table for two.", start_s=0.5, end_s=2.0)
    call.agent_says("Done.")
    outcome = call.run(lasting_s=8.0)
    events = [event for _, event in outcome.messages if event["type"] == "correction"]
    assert events == [
        {
            "type": "correction",
            "text": "book a fable for two.",
            "replaced": "book a table for two.",
            "turn": 1,
        }
    ]
    # The answer was to what was first understood; what is remembered is what was said.
    assert users(outcome) == ["book a fable for two."]
    assert len(outcome.turns) == 2
    # The record holds both, so that an answer to words that nobody said can be explained.
    record = outcome.turns[1].as_json()
    assert record["heard"] == "book a table for two."
    assert record["corrected"] == "book a fable for two."
    assert outcome.turns[0].as_json()["corrected"] == ""


def test_speech_while_a_final_is_awaited_is_the_next_utterance() -> None:
    # The first answer never comes in time; the user goes on 0.1 s after the turn was decided.
    call = hybrid_call((2.5, "first."), (0.05, "second."))
    call.user_says("what is the time?", start_s=0.5, end_s=2.0)
    call.user_says("and the date please?", start_s=2.5, end_s=3.7)
    for _ in range(6):
        call.agent_says("Noon.")
    outcome = call.run(lasting_s=9.0)
    assert " ".join(users(outcome)).count("what is the time?") == 1
    assert any("second." in text or "date" in text for text in users(outcome))


def test_a_cloud_that_breaks_in_every_turn_is_left_and_nobody_notices() -> None:
    call = hybrid_call(*[(0.0, None)] * 12)
    for turn in range(3):
        call.user_says(f"question number {turn}?", start_s=1 + 4 * turn, end_s=2 + 4 * turn)
        call.agent_says("Answer.")
    outcome = call.run(lasting_s=14.0)
    assert users(outcome) == [f"question number {turn}?" for turn in range(3)]


def three_turns(call: ScriptedCall) -> None:
    """A question at 1, 5 and 9 s, each answered."""
    for turn in range(3):
        call.user_says(f"question number {turn}?", start_s=1 + 4 * turn, end_s=2 + 4 * turn)
        call.agent_says("Answer.")
    assert users(call.run(lasting_s=14.0)) == [f"question number {turn}?" for turn in range(3)]


def test_a_client_may_have_one_turn_to_itself() -> None:
    there = ScriptedCloud([(0.05, f"question number {turn}?") for turn in (0, 2, 2)])
    call = hybrid_call_to(there)
    call.client_sends(4.0, {"type": "privacy", "private": True})
    call.client_sends(8.5, {"type": "privacy", "private": False})
    three_turns(call)
    # Seconds after the first question was.
    later_s = [at_s - there.times_s[0] for at_s in there.times_s]
    assert [at_s for at_s in later_s if 2.5 < at_s < 7.0] == []
    assert [at_s for at_s in later_s if at_s > 7.0]


def test_a_session_may_be_private_from_its_start() -> None:
    there = ScriptedCloud([])
    call = hybrid_call_to(there)
    call.settings = Settings(asr={"private": True})
    three_turns(call)
    assert there.times_s == []


def test_a_step_may_have_one_answer_to_itself() -> None:
    there = ScriptedCloud([(0.05, "first."), (0.05, "third.")])
    call = hybrid_call_to(there)
    flow: Flow[None] = Flow()
    heard: list[str | None] = []
    asked_s: list[float] = []

    @flow.step
    async def questions(here: Conversation) -> End:
        for private in (False, True, False):
            asked_s.append(asyncio.get_running_loop().time())
            heard.append(await here.ask("Well?", private=private))
        asked_s.append(asyncio.get_running_loop().time())
        return End("Goodbye.")

    call.agent = Agent("desk", flow=flow)
    for turn in range(3):
        call.user_says(f"answer number {turn}.", start_s=3 + 4 * turn, end_s=4 + 4 * turn)
    call.run(lasting_s=16.0, greet=True)
    assert heard == ["first.", "answer number 1.", "third."]
    # Not even its beginning was sent, for a cloud that would not have answered.
    assert [at_s for at_s in there.times_s if asked_s[1] <= at_s < asked_s[2]] == []
    assert [at_s for at_s in there.times_s if asked_s[2] <= at_s < asked_s[3]]
