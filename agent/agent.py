"""An agent: who it is, what it says first, and what it can do."""

from collections.abc import Callable, Sequence
from typing import Any, overload

from agent.choices import imported
from agent.flow import Flow
from agent.settings import AgentSettings
from agent.tools.declaration import Tool, ToolOptions, declare
from agent.tools.mcp import ToolServer


class Agent:
    """Who talks; one agent serves any number of conversations.

    The models that give it ears, a mind and a voice are chosen elsewhere.

    Attributes:
        instructions: Who it is and what it knows, for the language model.
        name: For the page and the records.
        greeting: Said first; empty for the caller to speak first.
        tools: What it can do besides talking.
        servers: MCP servers whose tools it has as well.
        flow: Steps it goes through before the language model talks freely.
    """

    def __init__(
        self,
        instructions: str = "",
        *,
        name: str = "Duplex",
        greeting: str = "",
        tools: Sequence[Tool | Callable[..., Any]] = (),
        servers: Sequence[ToolServer] = (),
        flow: Flow[Any] | None = None,
    ) -> None:
        self.instructions = instructions
        self.name = name
        self.greeting = greeting
        self.tools = [as_tool(given) for given in tools]
        self.servers = list(servers)
        self.flow = flow

    @property
    def has_tools(self) -> bool:
        """Whether it can do anything but talk."""
        return bool(self.tools or self.servers)

    @classmethod
    def of(cls, settings: AgentSettings) -> "Agent":
        """Make the agent that settings describe.

        Raises:
            SettingsError: A tool or flow they name is not there.
        """
        if settings.pipecat_flow:
            from agent import pipecat_flow

            handlers = settings.pipecat_handlers or ()
            return pipecat_flow.load(settings.pipecat_flow, handlers, greeting=settings.greeting)
        return cls(
            settings.instructions,
            name=settings.name,
            greeting=settings.greeting,
            tools=[imported(name) for name in settings.tools],
            servers=[
                ToolServer(
                    **{name: value for name, value in server if name != "timeout_s"},
                    options=ToolOptions(timeout_s=server.timeout_s),
                )
                for server in settings.mcp
            ],
            flow=imported(settings.flow) if settings.flow else None,
        )

    @overload
    def tool(self, function: Callable[..., Any]) -> Tool: ...

    @overload
    def tool(self, **options: Any) -> Callable[[Callable[..., Any]], Tool]: ...

    def tool(self, function: Callable[..., Any] | None = None, **options: Any) -> Any:
        """Give the agent a tool; the options are those of `ToolOptions`."""

        def add(given: Callable[..., Any]) -> Tool:
            made = declare(given, ToolOptions(**options))
            self.tools.append(made)
            return made

        return add(function) if function else add


@overload
def tool(function: Callable[..., Any]) -> Tool: ...


@overload
def tool(**options: Any) -> Callable[[Callable[..., Any]], Tool]: ...


def tool(function: Callable[..., Any] | None = None, **options: Any) -> Any:
    """Make a function a tool that any agent can be given; for options see `ToolOptions`."""

    def make(given: Callable[..., Any]) -> Tool:
        return declare(given, ToolOptions(**options))

    return make(function) if function else make


def as_tool(given: Tool | Callable[..., Any]) -> Tool:
    """Return a tool for a tool or a function."""
    return given if isinstance(given, Tool) else declare(given, ToolOptions())
