"""`duplex record` with the real models: a live conversation is kept, and replays."""

import asyncio
import json

import pytest
import websockets

from agent.__main__ import main
from tests.live import LiveServer
from tests.speech import dialogue

pytestmark = pytest.mark.model

PACKET = 320


async def ask(url):
    """Ask by voice, at the pace of speech, until the answer is over."""
    track = dialogue(0.3, "What is the capital of France?", 0.2)
    socket_url = url.replace("http", "ws") + "v1/stream?sample_rate=16000"
    said = []
    async with websockets.connect(socket_url) as socket, asyncio.timeout(90):
        greeted = asyncio.Event()

        async def speak():
            quiet = dialogue(0.02)
            while not greeted.is_set():
                await socket.send(quiet.tobytes())
                await asyncio.sleep(0.02)
            for start in range(0, len(track), PACKET):
                await socket.send(track[start : start + PACKET].tobytes())
                await asyncio.sleep(0.02)
            while True:
                await socket.send(quiet.tobytes())
                await asyncio.sleep(0.02)

        speaking = asyncio.create_task(speak())
        try:
            async for message in socket:
                event = json.loads(message) if isinstance(message, str) else {}
                if event.get("role") == "assistant" and event["final"]:
                    said.append(event["text"])
                    greeted.set()
                    if len(said) == 2:
                        return said
        finally:
            speaking.cancel()
    return said


async def test_a_live_conversation_is_kept_and_replays(tmp_path, capsys):
    kept = tmp_path / "kept"
    server = LiveServer("-m", "agent", "record", "--to", str(kept), "--told", "--port", "0")
    try:
        server.wait_ready()
        said = await ask(server.url)
    finally:
        server.stop()
    assert "paris" in said[1].lower()
    (folder,) = kept.iterdir()

    assert main(["replay", str(folder), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert "COMMIT" in [decision["kind"] for decision in told["decisions"]]
    assert told["different"] == []

    # Its audio through the models again; in another thread, as the test's loop is running here.
    assert await asyncio.to_thread(main, ["replay", str(folder), "--hear", "--json"]) == 0
    turns = json.loads(capsys.readouterr().out)["turns"]
    assert any("capital of france" in turn["heard"].lower() for turn in turns)
