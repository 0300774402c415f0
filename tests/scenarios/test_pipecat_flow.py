"""Pipecat Flows files, gone through in typed conversations."""

from pathlib import Path

import pytest
from pipecat.flows import TRANSITION_IN_YAML

from agent.agent import Agent
from agent.errors import SettingsError
from agent.eval.scripted import Calls
from agent.pipecat_flow import load
from agent.settings import AgentSettings

FILE = Path(__file__).parent / "order.yaml"
noted = []


async def order(flow_manager, size: str):
    """Take the order.

    Args:
        size: Small or large.
    """
    flow_manager.state["order"] = {"size": size}
    status = "ok" if size == "large" else "unavailable"
    return {"status": status}, TRANSITION_IN_YAML


async def delivery_time(flow_manager):
    """Say how long delivery takes."""
    return {"minutes": 40}, TRANSITION_IN_YAML


async def note(action, flow_manager):
    noted.append(flow_manager.state["order"]["size"])


def test_nodes_tools_branches_and_actions(duplex):
    says = [
        "Pizza or sushi?",
        Calls({"choose_pizza": {}}),
        "Which size?",
        Calls({"order": {"size": "small"}}),
        "Which size instead?",
        Calls({"delivery_time": {}}),
        "Forty minutes.",
        Calls({"order": {"size": "large"}}),
        "A large one, goodbye.",
    ]
    noted.clear()
    with duplex.text(load(FILE, "tests.scenarios.test_pipecat_flow"), says) as call:
        assert call.greet().text == "Pizza or sushi?"
        assert call.say("pizza").text == "Good choice. Which size?"
        small = call.say("a small one")
        assert small.text == "Good choice. Which size instead?"
        assert small.tool("order").results == ['{"status": "unavailable"}']
        assert call.say("how long does it take?").text == "Forty minutes."
        assert call.say("large then").text == "A large one, goodbye."
        briefs = [asked[-1]["content"] for asked in call.asked if asked[-1]["role"] == "system"]
        assert briefs[-1] == "Confirm large and say goodbye."
    assert noted == ["large"]


def test_two_conversations_share_nothing(duplex):
    agent = load(FILE, globals())
    for _ in range(2):
        says = ["Pizza?", Calls({"choose_pizza": {}}), "Size?"]
        with duplex.text(agent, says) as call:
            call.greet()
            assert call.say("pizza").text == "Good choice. Size?"


def test_an_agents_file_names_a_flow():
    settings = AgentSettings(
        pipecat_flow=FILE, pipecat_handlers="tests.scenarios.test_pipecat_flow", greeting="Hello."
    )
    agent = Agent.of(settings)
    assert agent.greeting == "Hello." and agent.name == "greet"
    assert [tool.name for tool in agent.tools] == ["choose_pizza", "delivery_time"]


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("initial_node: greet", "initial_node: great", "'great' is not a defined node"),
        ("name: order", "name: ordre", "'ordre'"),
        (
            "    post_actions:",
            "    context_strategy: reset\n    post_actions:",
            "reset is not supp",
        ),
        ("handler: note", "handler: jot", "'jot'"),
    ],
)
def test_a_mistake_is_told(tmp_path, old, new, told):
    path = tmp_path / "flow.yaml"
    path.write_text(FILE.read_text().replace(old, new))
    with pytest.raises(SettingsError, match=told):
        load(path, globals())
