"""Tools of a real MCP server, over its standard streams and over HTTP, in a conversation."""

import asyncio
import sys
from pathlib import Path

import numpy as np
import pytest
from loguru import logger
from starlette.responses import Response

from agent.agent import Agent
from agent.errors import SettingsError
from agent.eval import memory
from agent.eval.scripted import VOICE_RATE, Calls, ScriptedLanguage, SteadyVoice, models
from agent.run import check
from agent.session import Channel, VoiceSession, close
from agent.settings import Settings, load
from agent.tools.mcp import ToolServer
from agent.transports.memory import MemoryTransport
from tests.wiring import mcp_server
from tests.wiring.listening_app import served

SERVER = (sys.executable, str(Path(__file__).parent / "mcp_server.py"))


@pytest.fixture
def errors():
    lines = []
    sink = logger.add(lambda line: lines.append(str(line)), level="ERROR")
    yield lines
    logger.remove(sink)


def said(session):
    return memory.said(session.context.messages)


def offered_by(session):
    return getattr(session.context.tools, "standard_tools", [])


async def until(transport, is_so):
    """Send silence, as callers do, until something is so."""
    while not is_so():
        await transport.input().speak(np.zeros(320, np.int16))
        await asyncio.sleep(0.02)


async def typed(agent, says, *turns):
    """Hold a typed conversation in real time; return its context and what the model was offered."""
    language = ScriptedLanguage(says, first_token_s=0.0)
    transport = MemoryTransport()
    session = VoiceSession(
        Settings(),
        models(lambda _prompt: language, voice=SteadyVoice(word_s=0.02)),
        transport,
        Channel("text", VOICE_RATE, delay_s=0.0),
        agent=agent,
    )
    task = asyncio.create_task(session.run())
    try:
        async with asyncio.timeout(60):
            await transport.input().ready.wait()
            if agent.servers:
                await until(transport, lambda: offered_by(session))
            for number, turn in enumerate(turns, 1):
                await transport.input().send({"type": "text", "text": turn})
                await until(transport, lambda: len(said(session)) >= number)  # noqa: B023
    finally:
        offered = offered_by(session)
        await close(session, task, drain_s=5.0)
    return [dict(message) for message in session.context.messages], offered


async def test_a_servers_tool_is_offered_called_and_answered_once():
    agent = Agent(
        "x", servers=[ToolServer(SERVER, environ={"SHOP": "here"}, only=["price", "sell"])]
    )
    says = [
        Calls({"price": {"article": "bell", "count": 2}}),
        "Six euros.",
        Calls({"sell": {"article": "bell"}}),
        "It is yours.",
    ]
    history, offered = await typed(agent, says, "two bells?", "sell me one")

    assert [tool.name for tool in offered] == ["price", "sell"]
    assert offered[0].required == ["article"] and "count" in offered[0].properties
    assert memory.results(history) == {
        "call-1": ['"6 euros"'],
        "call-2": ['"sold bell here"'],
    }
    assert memory.said(history) == ["Six euros.", "It is yours."]


async def test_arguments_that_do_not_fit_go_back_to_the_model():
    agent = Agent("x", servers=[ToolServer(SERVER)])
    history, _ = await typed(agent, [Calls({"price": {"thing": 1}}), "Of what?"], "how much?")
    ((result,),) = memory.results(history).values()
    assert "missing ['article'], unknown ['thing']" in result


async def test_a_server_that_dies_in_a_call_is_an_apology(errors):
    agent = Agent("x", servers=[ToolServer(SERVER)])
    history, _ = await typed(agent, [Calls({"burn_down": {}})], "fire?")
    assert memory.said(history) == ["Sorry, that did not work."]
    assert list(memory.results(history).values()) == [['{"error": "it failed"}']]
    assert any("burn_down" in line for line in errors)


async def test_a_server_that_is_not_there_costs_its_tools_only(errors):
    agent = Agent("x", servers=[ToolServer(["/no/such/program"])])

    @agent.tool
    def near() -> str:
        """Look nearby."""
        return "here"

    history, _ = await typed(agent, [Calls({"near": {}}), "Here."], "where?")
    assert memory.said(history) == ["Here."]
    assert any("fewer tools" in line for line in errors)


class Guarded:
    """Lets in who brings the key, and keeps what was brought."""

    def __init__(self, app):
        self._app = app
        self.keys = set()

    async def __call__(self, scope, receive, send):
        if scope["type"] == "http":
            brought = dict(scope["headers"]).get(b"authorization", b"").decode()
            self.keys.add(brought)
            if brought != "Bearer secret":
                await Response(status_code=401)(scope, receive, send)
                return
        await self._app(scope, receive, send)


async def test_a_servers_tools_are_called_over_http_with_its_key(monkeypatch):
    monkeypatch.setenv("SHOP_KEY", "secret")
    guarded = Guarded(mcp_server.server.streamable_http_app())
    says = [
        Calls({"price": {"article": "bell", "count": 2}}),
        "Six euros.",
        Calls({"sell": {"article": "bell"}}),
        "It is yours.",
    ]
    async with served(guarded) as url:
        shop = ToolServer(url=f"{url}/mcp", key_variable="SHOP_KEY", only=["price", "sell"])
        history, offered = await typed(
            Agent("x", servers=[shop]), says, "two bells?", "one, please"
        )

    assert [tool.name for tool in offered] == ["price", "sell"]
    assert guarded.keys == {"Bearer secret"}
    results = memory.results(history)
    assert results["call-1"] == ['"6 euros"'] and "sold bell" in results["call-2"][0]
    assert memory.said(history) == ["Six euros.", "It is yours."]


async def test_a_server_over_http_that_refuses_the_key_costs_its_tools_only(monkeypatch, errors):
    monkeypatch.setenv("SHOP_KEY", "wrong")
    guarded = Guarded(mcp_server.server.streamable_http_app())
    async with served(guarded) as url:
        shop = ToolServer(url=f"{url}/mcp", key_variable="SHOP_KEY")
        agent = Agent("x", servers=[shop])

        @agent.tool
        def near() -> str:
            """Look nearby."""
            return "here"

        history, offered = await typed(agent, [Calls({"near": {}}), "Here."], "where?")
    assert memory.said(history) == ["Here."] and [tool.name for tool in offered] == ["near"]
    assert any("fewer tools" in line for line in errors)
    assert not any("wrong" in line for line in errors)


def test_a_file_names_servers(tmp_path, capsys):
    path = tmp_path / "agent.yaml"
    path.write_text(
        "agent:\n  mcp:\n    - command: [python, shop.py]\n      confirm: {sell: 'Shall I?'}\n"
        "      timeout_s: 3\n    - url: https://tools.example/mcp\n"
    )
    first, second = Agent.of(load(path, {}).agent).servers
    assert first.command == ("python", "shop.py") and first.options.timeout_s == 3
    assert first.confirm == {"sell": "Shall I?"} and second.url == "https://tools.example/mcp"
    assert check(path) == 0
    path.write_text("agent: {mcp: [{url: 'https://a/mcp', key_variable: NO_SUCH_KEY}]}\n")
    with pytest.raises(SettingsError, match="NO_SUCH_KEY is not set"):
        check(path)
