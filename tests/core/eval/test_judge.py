"""The judge, asked over HTTP as a real one is."""

import json

import pytest
from fastapi import FastAPI, Request

from agent.eval.judge import judge
from agent.eval.scenario import JudgePart, Limits
from agent.eval.score import Card
from tests.wiring.listening_app import served


def model(answer, asked):
    app = FastAPI()

    @app.post("/v1/chat/completions")
    async def complete(request: Request):
        asked.append(await request.json())
        message = {"role": "assistant", "content": answer(asked[-1])}
        choice = {"index": 0, "message": message, "finish_reason": "stop"}
        return {
            "id": "1",
            "object": "chat.completion",
            "created": 0,
            "model": "m",
            "choices": [choice],
        }

    return app


async def verdicts(answer, *criteria):
    asked = []
    async with served(model(answer, asked)) as url:
        part = JudgePart(url=f"{url}/v1", model="m", criteria=criteria)
        told = await judge(part, [("caller", "Hello?"), ("agent", "Go away.")])
    return told, asked


async def test_each_criterion_is_asked_about_with_the_conversation():
    def answer(request):
        kind = "kind" in request["messages"][-1]["content"]
        return "Surely: " + json.dumps({"true": not kind})

    told, asked = await verdicts(answer, "The agent is kind.", "The agent is brief.")
    assert told == {"The agent is kind.": False, "The agent is brief.": True}
    assert "agent: Go away." in asked[0]["messages"][-1]["content"]


@pytest.mark.parametrize(
    ("answer", "verdict"),
    [
        ('```json\n{"true": false}\n```', False),
        ('<think>{"true": true}? No.</think> {"true" : false}', False),
        ('{"true": true, "why": "it {says} so"}', True),
        ("I cannot say.", None),
        ('{"true": "perhaps"}', None),
        ("", None),
    ],
)
async def test_a_verdict_is_read_out_of_what_models_write_around_it(answer, verdict):
    told, _ = await verdicts(lambda request: answer, "It is kind.")
    assert told == {"It is kind.": verdict}


async def test_a_judge_that_is_not_there_costs_its_verdicts_only():
    part = JudgePart(url="http://127.0.0.1:9/v1", model="m", criteria=("It is kind.",))
    card = Card(verdicts=await judge(part, [("caller", "Hello?")]))
    assert card.verdicts == {"It is kind.": None}
    assert card.exceeded(Limits()) == ["the judge gave no verdict: It is kind."]
