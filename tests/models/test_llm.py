"""The real server with real weights: it answers, survives, and leaves nothing behind."""

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
import pytest
from openai import APIConnectionError, AsyncOpenAI

from agent.errors import DegradedError, MissingModelError
from agent.llm import weights
from agent.llm.embedded import EmbeddedServer, EmbeddedSettings, ServerDown, ServerUp
from agent.llm.prompt import INTERRUPTED_NOTE, system_prompt
from agent.llm.sampling import embedded_extra
from agent.llm.warm import PromptWarmer

pytestmark = pytest.mark.model

CLINIC = system_prompt(
    "You are Mia, who answers the phone at Bright Smile, a dental clinic. "
    "A cleaning costs eighty dollars."
)
PATIENCE_S = 120.0
"""A hang fails the test instead of the whole run; nothing here asserts a duration."""


@pytest.fixture(scope="module")
def model():
    try:
        return weights.find("qwen2.5-coder-0.5b")
    except MissingModelError as error:
        pytest.skip(str(error))


@pytest.fixture
def settings(model):
    return EmbeddedSettings(
        model.gguf, model.name, slots=2, context_tokens=1024, prompt_cache_mib=32
    )


@pytest.fixture
async def server(settings):
    server = EmbeddedServer(settings)
    await server.start()
    yield server
    await server.stop()


def client_of(server):
    return AsyncOpenAI(base_url=server.base_url, api_key="none", max_retries=0)


async def ask(server, messages, slot=None, max_tokens=12):
    """Stream an answer; return its text and how many prompt tokens were read in and cached."""
    text, timings = "", {}
    async with client_of(server) as client:
        stream = await client.chat.completions.create(
            model="any",
            messages=messages,
            max_tokens=max_tokens,
            temperature=0.0,
            stream=True,
            extra_body=embedded_extra(slot),
        )
        async for chunk in stream:
            text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
            timings = getattr(chunk, "timings", None) or timings
    return text, timings["prompt_n"], timings["cache_n"]


def user(text):
    return {"role": "user", "content": text}


def said(text):
    return {"role": "assistant", "content": text}


def system(text):
    return {"role": "system", "content": text}


def exists(pid):
    """Whether a process runs; a zombie does not."""
    try:
        return "\nState:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


async def test_it_answers_from_what_it_was_told(server, model):
    text, _, _ = await ask(server, [system(CLINIC), user("How much is a cleaning?")], max_tokens=32)
    assert text.strip()
    if model.name == "smollm2-135m":
        pytest.skip("only for models that heed their instructions")
    assert "eighty" in text.lower()


async def test_start_is_idempotent(server):
    pid = server.pid
    assert await asyncio.gather(server.start(), server.start()) == [server.base_url] * 2
    assert server.pid == pid


async def test_two_streams_are_both_answered(server):
    answers = await asyncio.gather(
        ask(server, [user("Count from one to five.")], slot=0),
        ask(server, [user("Name two colours.")], slot=1),
    )
    assert all(text.strip() for text, _, _ in answers)


async def test_a_killed_server_comes_back_and_answers(server):
    events, back = [], asyncio.Event()

    def note(event):
        events.append(event)
        if isinstance(event, ServerUp):
            back.set()

    server.subscribe(note)
    url, pid = server.base_url, server.pid
    os.kill(pid, signal.SIGKILL)
    async with asyncio.timeout(PATIENCE_S):
        await back.wait()
    assert events == [ServerDown(-signal.SIGKILL, 0.0, ""), ServerUp(url)]
    assert server.is_ready and server.pid != pid
    # The same URL: clients hold on to it.
    text, _, _ = await ask(server, [user("Say hello.")])
    assert text.strip()


async def test_a_stream_that_is_cut_by_the_servers_death_fails(server):
    async with client_of(server) as client:
        stream = await client.chat.completions.create(
            model="any",
            messages=[user("Count from one to one hundred in words.")],
            max_tokens=400,
            stream=True,
        )
        with pytest.raises(APIConnectionError):
            async for _ in stream:
                server.kill()


async def test_another_process_on_its_port_does_not_keep_it_down(server):
    back = asyncio.Event()
    taken = []

    def note(event):
        if isinstance(event, ServerDown) and not taken:
            taken.append(subprocess.Popen([sys.executable, "-c", SQUATTER, str(port)], **PIPES))
            taken[0].stdout.readline()
        if isinstance(event, ServerUp):
            back.set()

    port = int(httpx.URL(server.base_url).port)
    server.subscribe(note)
    server.kill()
    try:
        async with asyncio.timeout(PATIENCE_S):
            await back.wait()
        assert httpx.URL(server.base_url).port != port
        text, _, _ = await ask(server, [user("Say hello.")])
        assert text.strip()
    finally:
        taken[0].kill()
        taken[0].communicate()


async def test_stop_leaves_no_process(settings):
    server = EmbeddedServer(settings)
    await server.start()
    pid = server.pid
    assert exists(pid)
    await server.stop()
    assert not exists(pid)
    assert not server.is_ready
    await server.stop()


async def test_the_child_ends_with_its_parent(settings):
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(settings.gguf)), **PIPES
    )
    child = int(await parent.stdout.readline())
    assert exists(child)
    watched = os.pidfd_open(child)
    parent.kill()
    await parent.communicate()
    gone = asyncio.Event()
    asyncio.get_running_loop().add_reader(watched, gone.set)
    try:
        async with asyncio.timeout(PATIENCE_S):
            await gone.wait()
    finally:
        asyncio.get_running_loop().remove_reader(watched)
        os.close(watched)
    assert not exists(child)


async def test_a_damaged_model_says_why(tmp_path, settings):
    bad = tmp_path / "model.gguf"
    bad.write_bytes(settings.gguf.read_bytes()[:100_000])
    server = EmbeddedServer(EmbeddedSettings(bad, "bad"))
    with pytest.raises(DegradedError, match="not start: gguf_init"):
        await server.start()
    assert server.pid is None


async def test_a_missing_model_names_the_remedy(tmp_path):
    with pytest.raises(MissingModelError, match="duplex models"):
        await EmbeddedServer(EmbeddedSettings(tmp_path / "none.gguf", "none")).start()


async def test_warming_leaves_only_new_words_to_be_read(server):
    warmer = PromptWarmer(server.base_url)
    try:
        first = await warmer.warm([system(CLINIC)], slot=1)
        assert first > 50
        _, read, cached = await ask(server, [system(CLINIC), user("Hello.")], slot=1)
        assert read < 20 and cached > first - 10
    finally:
        await warmer.close()


async def test_words_read_while_they_were_said_need_not_be_read_again(server):
    warmer = PromptWarmer(server.base_url)
    question = "Can you tell me what I should bring along when I come in on Monday morning?"
    try:
        _, whole, _ = await ask(server, [system(CLINIC), user(question)], slot=0)
        for said in ("Can you tell me what", question.rstrip("?")):
            await warmer.read_ahead([system(CLINIC), user(said)], slot=1)
        _, read, _ = await ask(server, [system(CLINIC), user(question)], slot=1)
    finally:
        await warmer.close()
    # The question mark, and what the template puts before the answer.
    assert read <= 7 < whole


@pytest.mark.parametrize(
    ("before", "unfinished", "finished"),
    [
        ([], "What do bees", "What do bees make"),
        ([], "Can you tell me the price of a", "Can you tell me the price of a cleaning"),
        ([user("Hi."), {"role": "assistant", "content": "Hello!"}], "Is water", "Is water wet"),
    ],
)
async def test_says_whether_more_is_to_come(server, before, unfinished, finished):
    tool = {"name": "book", "description": "Books.", "parameters": {"type": "object"}}
    warmer = PromptWarmer(server.base_url)
    try:
        for tools in ([], [{"type": "function", "function": tool}]):
            chances = [
                await warmer.read_ahead([system(CLINIC), *before, user(text)], tools, slot=0)
                for text in (unfinished, finished)
            ]
            assert chances[0] < 0.1 < 0.2 < chances[1] <= 1.0
    finally:
        await warmer.close()


async def test_two_sessions_in_turn_keep_their_conversations(server):
    talks = [[system(f"{CLINIC} Session {slot}.")] for slot in (0, 1)]
    for turn in range(3):
        for slot, messages in enumerate(talks):
            messages.append(user(f"Question number {turn}, please."))
            text, read, _ = await ask(server, messages, slot=slot)
            assert turn == 0 or read < 45
            messages.append({"role": "assistant", "content": text})


async def test_after_an_interruption_only_the_changed_end_is_read(server):
    messages = [system(CLINIC), user("Tell me about the clinic.")]
    text, _, _ = await ask(server, messages, slot=0, max_tokens=24)
    messages += [said(" ".join(text.split()[:4])), system(INTERRUPTED_NOTE), user("No, the price.")]
    _, read, cached = await ask(server, messages, slot=0)
    assert read < 60
    assert cached > 60


@pytest.mark.parametrize(
    ("question", "heard", "cut_by"),
    [
        ("Are you open on Sundays?", "We are open from Monday to", "And on Saturdays?"),
        ("What is a cleaning?", "A cleaning is when the dentist removes the", "How much is it?"),
        ("Tell me about Italy.", "Italy is a country in Europe, shaped like a", "And Greece?"),
    ],
)
async def test_told_that_it_was_cut_off_it_neither_says_so_nor_breaks_off(
    server, question, heard, cut_by
):
    """Dots and dashes behind the words it has said it imitates (benchmarks.interrupted)."""
    told = [system(CLINIC), user(question), said(heard), system(INTERRUPTED_NOTE), user(cut_by)]
    text, _, _ = await ask(server, told, max_tokens=40)
    assert text.strip() and "cut" not in text.lower() and "hear the rest" not in text.lower()
    assert not text.rstrip().endswith(("...", "-", "\N{EM DASH}"))


async def test_an_abandoned_stream_frees_its_slot(server):
    """Barge-in: the answer nobody hears must not delay the next one."""
    async with client_of(server) as client:
        stream = await client.chat.completions.create(
            model="any",
            messages=[user("Count from one to one thousand in words.")],
            max_tokens=900,
            stream=True,
            extra_body={**embedded_extra(0), "ignore_eos": True},
        )
        async for _ in stream:
            break
        await stream.close()
    await ask(server, [user("Say hello.")], slot=0, max_tokens=2)
    async with httpx.AsyncClient(trust_env=False) as http:
        slots = (await http.get(server.base_url.removesuffix("/v1") + "/slots")).json()
    assert not any(slot["is_processing"] for slot in slots)


PIPES = {"stdout": subprocess.PIPE, "stdin": subprocess.DEVNULL}

SQUATTER = """
import socket, sys, time
squatter = socket.create_server(("127.0.0.1", int(sys.argv[1])))
print("taken", flush=True)
time.sleep(600)
"""

PARENT = """
import asyncio, pathlib, sys
from agent.llm.embedded import EmbeddedServer, EmbeddedSettings

async def main():
    settings = EmbeddedSettings(pathlib.Path(sys.argv[1]), "m", slots=1, context_tokens=512)
    server = EmbeddedServer(settings)
    await server.start()
    print(server.pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""
