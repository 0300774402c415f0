"""Flows by voice, on virtual time."""

from agent.agent import Agent
from agent.conversation import Conversation
from agent.flow import End, Flow, HandOver
from agent.values import Digits
from tests.scenarios.calling import CallingLanguage, said
from tests.scenarios.scripted import ScriptedCall


def call(agent, lines=(), user=(), **options):
    language = CallingLanguage(list(lines))
    scripted = ScriptedCall(agent=agent, ears={"language": lambda _prompt: language}, **options)
    for text, start_s, end_s in user:
        scripted.user_says(text, start_s, end_s)
    return scripted


def test_a_flow_asks_waits_for_digits_and_hands_over():
    flow, heard = Flow(), []
    clerk = Agent("clerk", name="Clerk", greeting="Clerk here.")

    @flow.step
    async def pin(here: Conversation) -> HandOver:
        heard.append(await here.collect("Your pin?", Digits(4)))
        return HandOver(clerk, "Thanks.")

    outcome = call(
        Agent("desk", flow=flow),
        ["Certainly."],
        [("one two", 2.0, 2.6), ("three four.", 3.4, 4.0), ("can you help me now?", 10.0, 11.4)],
    ).run(18.0, greet=True)

    assert heard == ["1234"]
    assert said(outcome.history) == ["Your pin?", "Thanks.", "Clerk here.", "Certainly."]


def test_a_flow_asks_again_after_silence_and_ends_the_call():
    flow = Flow()

    @flow.step
    async def name(here: Conversation) -> End:
        found = await here.collect("Your pin?", Digits(4), retries=1, patience_s=3.0)
        return End("Goodbye." if found is None else "Thanks.")

    outcome = call(Agent("desk", flow=flow)).run(14.0, greet=True)
    assert said(outcome.history) == ["Your pin?", "Your pin?", "Goodbye."]
