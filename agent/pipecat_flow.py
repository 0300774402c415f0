"""Pipecat Flows files, as agents that hand over to one another.

A node of such a file is what we call an agent: instructions and tools. A tool that leads to another
node hands over. Pipecat's own loader checks the file and joins it to its functions.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipecat.flows import NO_RESPONSE, FlowConfig, FlowError
from pipecat.flows import Flow as PipecatFlow
from pydantic import BaseModel, ValidationError

from agent.agent import Agent
from agent.choices import imported_module
from agent.conversation import Conversation
from agent.errors import SettingsError
from agent.flow import Flow, HandOver
from agent.tools.declaration import SchemaTool, ToolOptions

_PLACEHOLDER = re.compile(r"(\\)?\{\{\s*([\w.]+)\s*\}\}")

_LONGEST_CALL_S = 30.0


@dataclass
class Manager:
    """What a flow's functions are given in the place of Pipecat's manager.

    Attributes:
        state: What the functions keep during one conversation.
        conversation: The running conversation.
        current_node: Name of the node that is open.
    """

    conversation: Conversation[Any]
    state: dict[str, Any] = field(default_factory=dict)
    current_node: str = ""


def load(path: Path | str, handlers: Any = (), *, greeting: str = "") -> Agent:
    """Load a flow as the agent that begins it.

    Args:
        path: YAML or JSON, of the format of `pipecat.flows.FlowConfig`.
        handlers: What the file's functions are looked up in: a module, its name, a mapping, or
            several of these.
        greeting: Said first.

    Raises:
        SettingsError: The file is wrong, names what is not there, or needs what is not supported.
    """
    path = Path(path)
    if isinstance(handlers, str):
        handlers = imported_module(handlers)
    try:
        config = FlowConfig.from_file(path)
        flow = PipecatFlow(config, handlers=handlers or {})
    except (OSError, ValidationError, FlowError, ValueError) as error:
        raise SettingsError(f"{path}: {error}") from error
    for name, node in config.nodes.items():
        _check(path, name, node)
    return _Graph(flow).agent(flow.initial_node, greeting=greeting)


def _check(path: Path, name: str, node: FlowConfig.Node) -> None:
    if node.context_strategy == "reset":
        raise SettingsError(
            f"{path}: node {name}: context_strategy reset is not supported: an agent here "
            "remembers what was said; leave it out"
        )
    for action in [*node.pre_actions, *node.post_actions]:
        if action.registered_in_code:
            raise SettingsError(f"{path}: node {name}: action {action.type} needs a handler")


class _Graph:
    """Makes the agents of a flow, each when it is entered."""

    def __init__(self, flow: PipecatFlow) -> None:
        self._flow = flow

    def agent(
        self, node: Mapping[str, Any], *, greeting: str = "", manager: Manager | None = None
    ) -> Agent:
        """Make the agent of a node.

        Args:
            node: As Pipecat's loader made it.
            greeting: Said first.
            manager: Of a conversation that is under way; None before there is one.
        """
        entering: Flow[Any] = Flow()

        @entering.step
        async def enter(call: Conversation[Any]) -> None:
            room = manager or _manager(call)
            room.current_node = str(node.get("name", ""))
            for action in node.get("pre_actions", ()):
                await _act(action, room)
            if node.get("respond_immediately", True):
                await call.prompt(_filled(_tasks(node), room.state))
            for action in node.get("post_actions", ()):
                await _act(action, room)

        functions = [*node.get("functions", ()), *self._flow.global_functions]
        state = manager.state if manager else {}
        # The role persists until another node has one.
        role = node.get("role_message")
        if role is None and manager:
            role = manager.state.get(_ROLE, "")
        if manager and role:
            manager.state[_ROLE] = role
        instructions = f"{role or ''}\n{_tasks(node)}".strip()
        return Agent(
            _filled(instructions, state) if manager else instructions,
            name=str(node.get("name", "flow")),
            greeting=greeting,
            tools=[self._tool(schema, role or "") for schema in functions],
            flow=entering,
        )

    def _tool(self, schema: Any, role: str) -> SchemaTool:
        async def function(conversation: Conversation[Any], **arguments: Any) -> object:
            manager = _manager(conversation)
            manager.state.setdefault(_ROLE, role)
            result, following = await schema.handler(arguments, manager)
            if following is None or following is NO_RESPONSE:
                return result
            return HandOver(self.agent(following, manager=manager), result=result)

        return SchemaTool(
            function,
            schema.name,
            schema.description,
            BaseModel,
            conversation="conversation",
            options=ToolOptions(timeout_s=schema.timeout_secs or _LONGEST_CALL_S),
            properties=schema.properties,
            required=schema.required,
        )


_ROLE = "_role_message"


def _manager(conversation: Conversation[Any]) -> Manager:
    """Return the one manager of a conversation."""
    manager: Manager = conversation.kept.setdefault("pipecat_flow", Manager(conversation))
    return manager


async def _act(action: Mapping[str, Any], manager: Manager) -> None:
    match action["type"]:
        case "tts_say":
            await manager.conversation.say(_filled(str(action["text"]), manager.state))
        case "end_conversation":
            await manager.conversation.end(_filled(str(action.get("text", "")), manager.state))
        case _:
            outcome = action["handler"](action, manager)
            if hasattr(outcome, "__await__"):
                await outcome


def _tasks(node: Mapping[str, Any]) -> str:
    messages: Sequence[Mapping[str, str]] = node["task_messages"]
    return "\n".join(message["content"] for message in messages)


def _filled(text: str, state: Mapping[str, Any]) -> str:
    """Put values in the place of ``{{ key }}`` and ``{{ key.sub }}``.

    Raises:
        FlowError: A key is not in the state.
    """

    def value(found: "re.Match[str]") -> str:
        if found[1]:
            return found[0][1:]
        here: Any = state
        for part in found[2].split("."):
            if not isinstance(here, Mapping) or part not in here:
                raise FlowError(f"'{found[0]}' is not in the flow's state")
            here = here[part]
        return str(here)

    return _PLACEHOLDER.sub(value, text)
