"""An agent: who it is, what it says first, and what it can do."""

from collections.abc import Callable, Sequence
from typing import Any, overload

from agent.choices import imported
from agent.flow import Flow
from agent.settings import AgentSettings
from agent.tools.declaration import Tool, ToolOptions, declare


class Agent:
    """Who talks; one agent serves any number of conversations.

    The models that give it ears, a mind and a voice are chosen elsewhere.

    Attributes:
        instructions: Who it is and what it knows, for the language model.
        name: For the page and the records.
        greeting: Said first; empty for the caller to speak first.
        tools: What it can do besides talking.
        flow: Steps it goes through before the language model talks freely.
    """

    def __init__(
        self,
        instructions: str = "",
        *,
        name: str = "Duplex",
        greeting: str = "",
        tools: Sequence[Tool | Callable[..., Any]] = (),
        flow: Flow[Any] | None = None,
    ) -> None:
        self.instructions = instructions
        self.name = name
        self.greeting = greeting
        self.tools = [as_tool(given) for given in tools]
        self.flow = flow

    @classmethod
    def of(cls, settings: AgentSettings) -> "Agent":
        """Make the agent that settings describe.

        Raises:
            SettingsError: A tool or flow they name is not there.
        """
        return cls(
            settings.instructions,
            name=settings.name,
            greeting=settings.greeting,
            tools=[imported(name) for name in settings.tools],
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
