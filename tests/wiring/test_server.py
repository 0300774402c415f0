"""The real server, as a program talks to it: the plain stream and what guards it."""

import asyncio
import json
import os
import signal
import subprocess
import urllib.error
import urllib.request
import wave

import numpy as np
import pytest
import websockets

from tests.live import LiveServer
from tests.speech import dialogue, share_said

pytestmark = pytest.mark.model

RATE = 16_000
PACKET = RATE // 50


@pytest.fixture(scope="module")
def server():
    live = LiveServer()
    live.wait_ready()
    yield live
    live.stop()


class Client:
    """A program on the plain stream: speaks in real time, keeps what it is told and played."""

    def __init__(self, socket):
        self._socket = socket
        self.audio = bytearray()
        self.events = []
        self._told = asyncio.Event()

    async def listen(self):
        async for message in self._socket:
            if isinstance(message, bytes):
                self.audio += message
            else:
                self.events.append(json.loads(message))
            self._told.set()

    async def speak(self, pcm):
        loop = asyncio.get_running_loop()
        start = loop.time()
        for i in range(0, len(pcm), PACKET):
            await self._socket.send(pcm[i : i + PACKET].tobytes())
            await asyncio.sleep(max(0.0, start + (i + PACKET) / RATE - loop.time()))

    async def until(self, wanted):
        """Stay silent, in real time, until `wanted(events)`."""
        async with asyncio.timeout(90):
            while not wanted(self.events):
                await self.speak(dialogue(0.2))

    def finals(self, role):
        return [
            event["text"]
            for event in self.events
            if event["type"] == "transcript" and event["role"] == role and event["final"]
        ]


async def conversation(server, talk, query=""):
    url = server.url.replace("http", "ws") + f"v1/stream?sample_rate={RATE}{query}"
    async with websockets.connect(url) as socket:
        client = Client(socket)
        listening = asyncio.create_task(client.listen())
        try:
            await talk(client)
        finally:
            listening.cancel()
        return client


def has_final(role, count):
    def wanted(events):
        finals = [e for e in events if e["type"] == "transcript" and e["role"] == role]
        return sum(event["final"] for event in finals) >= count

    return wanted


async def test_a_program_asks_and_is_answered_by_voice(server, tmp_path):
    async def talk(client):
        await client.until(has_final("assistant", 1))
        client.audio.clear()
        await client.speak(dialogue(0.3, "What is the capital of France?"))
        await client.until(has_final("assistant", 2))

    client = await conversation(server, talk)

    assert "capital of france" in client.finals("user")[0].lower()
    assert {event["type"] for event in client.events} <= {"clear", "transcript"}
    recording = tmp_path / "answer.wav"
    with wave.open(str(recording), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(bytes(client.audio))
    answer = client.finals("assistant")[1]
    assert "paris" in answer.lower()
    assert share_said(recording, answer) >= 0.5


async def test_speaking_over_the_answer_stops_it(server):
    async def talk(client):
        await client.until(has_final("assistant", 1))
        await client.speak(dialogue(0.3, "Please count from one to twenty slowly."))
        await client.until(
            lambda events: any(
                e["type"] == "transcript" and e["role"] == "assistant" and e["turn"] == 1
                for e in events
            )
        )
        await client.speak(dialogue("Stop, that is enough, thank you."))
        await client.until(lambda events: any(e["type"] == "clear" for e in events))
        await client.until(has_final("user", 2))

    client = await conversation(server, talk, "&events=all")

    cut = [e for e in client.events if e["type"] == "transcript" and e.get("interrupted")]
    assert cut
    kinds = [e["kind"] for e in client.events if e["type"] == "decision"]
    assert "BARGE_IN" in kinds


async def test_nonsense_does_not_end_a_conversation(server):
    async def talk(client):
        for message in ("{", "[]", "null", '{"type": 7}', '{"type":"played","samples":"x"}'):
            await client._socket.send(message)
        await client._socket.send(b"\x01")
        await client._socket.send(np.zeros(PACKET, np.int16).tobytes() + b"\x00")
        await client._socket.send('{"type": "text", "text": "Say hello."}')
        await client.until(has_final("user", 1))
        answered = lambda events: any(  # noqa: E731
            e["type"] == "transcript" and e["role"] == "assistant" and e["turn"] == 1
            for e in events
        )
        await client.until(answered)

    client = await conversation(server, talk)
    assert client.finals("user") == ["Say hello."]


async def until_active(server, count):
    async with asyncio.timeout(30):
        while server.status()["sessions"]["active"] != count:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.05)


def language_model(server):
    """Process id of the embedded language model's server."""
    listed = subprocess.run(
        ["pgrep", "-P", str(server.pid), "-f", "agent.llm.child"],
        capture_output=True,
        text=True,
        check=False,
    )
    return int(listed.stdout.split()[0])


async def test_a_dead_language_model_is_restarted_and_the_caller_hears_an_apology(server):
    async def talk(client):
        await client.until(has_final("assistant", 1))
        os.kill(language_model(server), signal.SIGKILL)
        await client._socket.send('{"type": "text", "text": "What is the capital of France?"}')
        # A restart that takes long is bridged by further words.
        await client.until(lambda _: any("paris" in t.lower() for t in client.finals("assistant")))

    client = await conversation(server, talk)

    assert "sorry" in client.finals("assistant")[1].lower()


async def refused(server, query, **options):
    url = server.url.replace("http", "ws") + "v1/stream" + query
    async with websockets.connect(url, **options) as socket:
        event = json.loads(await socket.recv())
        with pytest.raises(websockets.ConnectionClosed) as closed:
            await socket.recv()
    return event, closed.value.rcvd.code


async def test_a_strange_rate_is_refused_with_the_ones_that_work(server):
    event, code = await refused(server, "?sample_rate=12345")
    assert code == 1008 and "16000" in event["message"]


async def turned_away(server, **options):
    url = server.url.replace("http", "ws") + "v1/stream"
    with pytest.raises(websockets.InvalidStatus) as refusal:
        await websockets.connect(url, **options)
    return refusal.value.response


async def test_a_foreign_page_is_refused(server):
    response = await turned_away(server, origin="http://elsewhere.example")
    assert response.status_code == 403 and b"page" in response.body


async def test_the_next_caller_is_told_to_come_back(server):
    limit = server.status()["sessions"]["limit"]
    url = server.url.replace("http", "ws") + "v1/stream"
    callers = [await websockets.connect(url) for _ in range(limit)]
    try:
        await until_active(server, limit)
        response = await turned_away(server)
        assert response.status_code == 503 and b"busy" in response.body
        assert int(response.headers["Retry-After"]) > 0
    finally:
        for caller in callers:
            await caller.close()
    await until_active(server, 0)


def post(server, body, origin=None):
    request = urllib.request.Request(server.url + "api/offer", data=body, method="POST")
    request.add_header("Content-Type", "application/json")
    if origin:
        request.add_header("Origin", origin)
    try:
        with urllib.request.urlopen(request, timeout=10) as response:
            return response.status
    except urllib.error.HTTPError as error:
        return error.code


@pytest.mark.parametrize(
    "body",
    [b"", b"{", b"[]", b"null", b'{"sdp": 1, "type": "offer"}', b'{"sdp":"x","type":"offer"}'],
)
def test_an_offer_that_makes_no_sense_is_a_bad_request(server, body):
    assert post(server, body) == 400


def test_a_foreign_pages_offer_is_forbidden(server):
    assert post(server, b"{}", origin="http://elsewhere.example") == 403


def test_every_response_carries_the_security_policy(server):
    for path in ("", "web/app.js", "api/status", "nothing-here"):
        try:
            response = urllib.request.urlopen(server.url + path, timeout=10)
        except urllib.error.HTTPError as error:
            response = error
        assert "default-src 'none'" in response.headers["Content-Security-Policy"]
