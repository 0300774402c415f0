"""The API as developers use it, with the real models: a script, a file, a tool, a stand-in."""

import asyncio
import contextlib
import json
from pathlib import Path

import httpx
import numpy as np
import pytest
import websockets
from fastapi import FastAPI, Request
from fastapi.responses import StreamingResponse
from pipecat.processors.aggregators.llm_context import LLMContext

from agent.llm.endpoint import Endpoint
from agent.llm.fallback import FallbackSettings
from agent.llm.request import LanguageRequest
from agent.processors.language import Language
from tests.live import LiveServer
from tests.wiring.listening_app import served
from tests.wiring.scripted_model import ScriptedModel

HERE = Path(__file__).parent
SILENCE = np.zeros(320, np.int16).tobytes()


@contextlib.asynccontextmanager
async def conversation(url):
    """A conversation line by line: gives what waits for the agent's next, and what types ours."""
    socket_url = url.replace("http", "ws") + "v1/stream?sample_rate=16000"
    async with websockets.connect(socket_url) as socket, asyncio.timeout(150):

        async def be_there():
            while True:
                await socket.send(SILENCE)
                await asyncio.sleep(0.02)

        async def hear():
            async for message in socket:
                event = json.loads(message) if isinstance(message, str) else {}
                if event.get("role") == "assistant" and event["final"]:
                    return event["text"]
            raise AssertionError("the server hung up")

        async def say(text):
            await socket.send(json.dumps({"type": "text", "text": text}))

        present = asyncio.create_task(be_there())
        try:
            yield hear, say
        finally:
            present.cancel()


async def converse(url, *typed, until=None):
    """Type to the agent, a line after each it has said; return what was heard, greeting first.

    Ends with as many answers as lines, or with the first after `until()`.
    """
    heard, lines = [], list(typed)
    async with conversation(url) as (hear, say):
        while True:
            heard.append(await hear())
            if until() if until else len(heard) > len(typed):
                return heard
            if lines:
                await say(lines.pop(0))


@pytest.mark.model
async def test_five_lines_and_a_tool_talk_with_the_embedded_model(tmp_path):
    booked = tmp_path / "booked"
    server = LiveServer(str(HERE / "agent_with_tool.py"), str(booked))
    try:
        server.wait_ready()
        question = "Please book a table for four people on Friday."
        heard = await converse(server.url, question, until=booked.exists)
    finally:
        server.stop()

    assert heard[0] == "Hello, how can I help?"
    # The embedded model writes its call as text: it must be made, and never be read aloud.
    assert booked.read_text() == "Friday 4"
    assert not any("{" in line for line in heard)


@pytest.mark.model
async def test_a_file_is_an_agent_and_a_change_reaches_the_next_caller(tmp_path):
    path = tmp_path / "agent.yaml"
    text = "agent:\n  name: Shop\n  greeting: The shop is open.\nmodels:\n  tts: kokoro-student\n"
    path.write_text(text)
    server = LiveServer("-m", "agent", "run", str(path), "--port", "0")
    try:
        server.wait_ready()
        assert await converse(server.url) == ["The shop is open."]
        path.write_text(text.replace("open", "closed today"))
        assert await converse(server.url) == ["The shop is closed today."]
    finally:
        server.stop()


async def names(url, role, wanted):
    """Wait until the server's models are others."""
    async with asyncio.timeout(90), httpx.AsyncClient() as client:
        while True:
            status = (await client.get(f"{url}api/status")).json()
            if status["models"][role] == wanted:
                return status
            await asyncio.sleep(0.2)


@pytest.mark.model
async def test_models_that_a_file_names_anew_are_those_of_the_next_caller(tmp_path):
    path = tmp_path / "agent.yaml"
    first, second = (ScriptedModel(lambda *_, text=text: text) for text in ("One.", "Two."))

    def write(model, name):
        path.write_text(
            "agent: {greeting: Hello.}\n"
            "models:\n"
            "  asr: moonshine:tiny\n"
            f"  llm: ['openai:{model.url}/v1#{name}']\n"
            "  tts: kokoro-student\n"
        )

    write(first, "first")
    server = LiveServer("-m", "agent", "run", str(path), "--port", "0")
    try:
        server.wait_ready()

        async with conversation(server.url) as (hear, say):
            assert await hear() == "Hello."
            write(second, "second")
            status = await names(server.url, "llm", "second")
            assert status["offline"]
            assert await converse(server.url, "Who are you?") == ["Hello.", "Two."]
            # Who was there before goes on as before.
            await say("And you?")
            assert await hear() == "One."

        # Weights that are not there change nothing.
        path.write_text(path.read_text() + f"  paths: {{silero-vad: {tmp_path}}}\n")
        async with asyncio.timeout(90):
            while "the models stay as they were" not in server.log():  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert await converse(server.url, "Who are you?") == ["Hello.", "Two."]
    finally:
        server.stop()
        first.stop()
        second.stop()


class Scripted:
    """An OpenAI-compatible server whose answers are written down."""

    def __init__(self, *deltas, delay_s=0.0, status=200):
        self.app = FastAPI()
        self.asked = []

        @self.app.post("/v1/chat/completions")
        async def complete(request: Request):
            self.asked.append(await request.json())
            await asyncio.sleep(delay_s)
            if status != 200:
                return StreamingResponse(iter([b"no"]), status_code=status)
            return StreamingResponse(self._events(deltas), media_type="text/event-stream")

    async def _events(self, deltas):
        for delta in deltas:
            chunk = {"id": "1", "object": "chat.completion.chunk", "created": 0, "model": "m"}
            chunk["choices"] = [{"index": 0, "delta": delta, "finish_reason": None}]
            yield f"data: {json.dumps(chunk)}\n\n"
        yield "data: [DONE]\n\n"


def request(url, model, **more):
    return LanguageRequest(Endpoint(url, model, "none"), sampling={}, extra_body={}, **more)


async def answer(language):
    context = LLMContext(messages=[{"role": "user", "content": "hello"}])
    stream = await language.get_chat_completions(context)
    return "".join([chunk.choices[0].delta.content or "" async for chunk in stream])


@pytest.mark.parametrize("fault", [{"delay_s": 30.0}, {"status": 500}, {"status": 401}])
async def test_the_next_model_answers_when_the_first_is_late_or_fails(fault):
    first, second = Scripted({"content": "first"}, **fault), Scripted({"content": "second"})
    async with served(first.app) as first_url, served(second.app) as second_url:
        backup = request(f"{second_url}/v1", "spare")
        language = Language(
            request(f"{first_url}/v1", "main", backups=(backup,)),
            "Be brief.",
            FallbackSettings(first_token_s=0.5),
        )
        assert await answer(language) == "second"
        assert second.asked[0]["model"] == "spare"
        assert second.asked[0]["messages"][0]["content"] == "Be brief."
        # One that was late rests: the next turn does not wait for it again.
        assert await answer(language) == "second"
        assert [asked["model"] for asked in first.asked] == ["main"]


async def test_a_first_model_that_answers_is_the_only_one_asked():
    first, second = Scripted({"content": "fir"}, {"content": "st"}), Scripted()
    async with served(first.app) as first_url, served(second.app) as second_url:
        backup = request(f"{second_url}/v1", "spare")
        language = Language(
            request(f"{first_url}/v1", "main", backups=(backup,)), "", FallbackSettings()
        )
        assert await answer(language) == "first"
        assert second.asked == []


async def test_a_request_ends_with_what_others_said():
    server = Scripted({"content": "Yes."})
    async with served(server.app) as url:
        language = Language(request(f"{url}/v1", "main"), "", FallbackSettings())
        call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
        asked = [
            {"role": "user", "content": "hello"},
            {"role": "assistant", "tool_calls": [call]},
            {"role": "tool", "tool_call_id": "1", "content": "done"},
        ]
        fillers = [{"role": "assistant", "content": words} for words in ("One moment.", "Sorry.")]
        await language.get_chat_completions(LLMContext(messages=[*asked, *fillers]))
        assert [m["role"] for m in server.asked[0]["messages"]] == ["user", "assistant", "tool"]
