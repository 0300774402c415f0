"""Tools from a server of the Model Context Protocol, through Pipecat's client (extra `mcp`)."""

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from pipecat.services.llm_service import FunctionCallParams
from pydantic import BaseModel

from agent.errors import DegradedError, SettingsError
from agent.tools.declaration import SchemaTool, Tool, ToolOptions

_FAILED = "Error calling mcp tool"
"""How Pipecat's client begins a result that is none: the server is gone, or refused."""


@dataclass(frozen=True, slots=True)
class ToolServer:
    """An MCP server, as an agent's source of tools. Each conversation has its own connection.

    Attributes:
        command: Starts the server; it is spoken to on its standard input and output.
        url: Of a server that is spoken to over HTTP, instead of a command.
        key_variable: Environment variable with the bearer token of such a server.
        environ: For the command, besides what every program is given.
        only: Names of the tools to take; empty for all.
        options: How its tools are called: time limit, filler and the rest.
        confirm: Tools that are asked about aloud first, each with the question.
    """

    command: Sequence[str] = ()
    url: str = ""
    key_variable: str = ""
    environ: Mapping[str, str] = field(default_factory=dict)
    only: Sequence[str] = ()
    options: ToolOptions = field(default_factory=ToolOptions)
    confirm: Mapping[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if bool(self.command) == bool(self.url):
            raise SettingsError("an MCP server has a command or a url, and not both")

    def connect(self) -> "Connection":
        """Make a connection, which opens when it is asked for its tools.

        Raises:
            SettingsError: The extra is not installed, or the token's variable is not set.
        """
        return Connection(self)


class Connection:
    """A conversation's connection to a server."""

    def __init__(self, server: ToolServer) -> None:
        self._server = server
        self._client = _client(server)

    async def tools(self) -> list[Tool]:
        """Connect, and return what the server offers.

        Raises:
            DegradedError: It cannot be reached.
        """
        try:
            schemas = await self._client.tools()
        except Exception as error:
            raise DegradedError(f"the MCP server {_name(self._server)}: {error!r}") from error
        return [self._tool(schema) for schema in schemas.standard_tools]

    async def close(self) -> None:
        """Hang up; a server that was started is stopped."""
        await self._client.close()

    def _tool(self, schema: Any) -> Tool:
        async def call(**arguments: Any) -> object:
            found: list[object] = []

            async def keep(result: object, **_: Any) -> None:
                found.append(result)

            # The client reads the name, the arguments and where the result goes; nothing else.
            parts: Any = {"llm": None, "pipeline_worker": None, "context": None}
            await schema.handler(
                FunctionCallParams(
                    function_name=schema.name,
                    tool_call_id="mcp",
                    arguments=arguments,
                    result_callback=keep,
                    **parts,
                )
            )
            (result,) = found
            if isinstance(result, str) and result.startswith(_FAILED):
                raise DegradedError(result)
            return result

        options = self._server.options
        if question := self._server.confirm.get(schema.name):
            options = replace(options, confirm=question)
        return SchemaTool(
            call,
            schema.name,
            schema.description or schema.name,
            BaseModel,
            options=options,
            properties=schema.properties,
            required=schema.required,
        )


def _client(server: ToolServer) -> Any:
    try:
        from mcp import StdioServerParameters
        from mcp.client.session_group import StreamableHttpParameters
        from pipecat.services.mcp_service import MCPClient
    except ImportError as error:
        raise SettingsError('MCP servers need an extra: pip install "duplex-voice[mcp]"') from error
    parameters: Any
    if server.command:
        program, *arguments = server.command
        parameters = StdioServerParameters(
            command=program, args=arguments, env=dict(server.environ) or None
        )
    else:
        headers = {}
        if server.key_variable:
            if not (token := os.environ.get(server.key_variable)):
                raise SettingsError(f"{_name(server)}: {server.key_variable} is not set")
            headers["Authorization"] = f"Bearer {token}"
        parameters = StreamableHttpParameters(url=server.url, headers=headers)
    return MCPClient(parameters, tools_filter=list(server.only) or None)


def _name(server: ToolServer) -> str:
    return server.url or " ".join(server.command)
