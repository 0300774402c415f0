"""Cloud clients against servers that misbehave: each fault becomes one of two errors."""

import json
from contextlib import asynccontextmanager

import httpx
import numpy as np
import pytest
from websockets.asyncio.server import serve

from agent.asr.cloud.client import CloudLostError, CloudRefusedError, CloudSettings, Feed
from agent.asr.cloud.native import NativeClient
from agent.asr.cloud.realtime import RATE, RealtimeClient
from agent.asr.cloud.transcriptions import TranscriptionClient
from agent.asr.hybrid.audio import UtteranceAudio
from agent.asr.hypothesis import Word


def whole(duration_s: float = 0.5) -> Feed:
    audio = UtteranceAudio()
    audio.append(np.ones(round(duration_s * 16_000), np.int16))
    feed = Feed(audio)
    feed.close()
    return feed


@asynccontextmanager
async def sockets(answer):
    """A WebSocket server that gives each message to `answer`, and sends what that returns."""

    async def talk(socket):
        async for message in socket:
            for reply in answer(message):
                if reply is None:
                    await socket.close(4401)
                    return
                await socket.send(reply)

    async with serve(talk, "127.0.0.1", 0) as server:
        yield f"ws://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def welcome(**fields) -> str:
    return json.dumps({"type": "welcome", "protocol": 1, "resumed": False, **fields})


@pytest.mark.parametrize(
    ("replies", "error", "text"),
    [
        ([None], CloudLostError, "refuses the key"),
        ([welcome(), None], CloudLostError, "refuses the key"),
        (["nonsense"], CloudLostError, "not a server of this protocol"),
        (
            [welcome(), '{"type":"error","code":"overloaded","utterance":1,"retryable":true}'],
            CloudLostError,
            "overloaded",
        ),
        (
            [welcome(), '{"type":"error","code":"too_long","utterance":1,"fatal":true}'],
            CloudRefusedError,
            "too_long",
        ),
        (
            [welcome(), '{"type":"final","utterance":1,"text":"x","samples":5,"crc32":1}'],
            CloudLostError,
            "other audio",
        ),
    ],
)
async def test_each_fault_of_our_service_has_a_name(replies, error, text):
    given = iter(replies)

    def answer(message):
        # The welcome answers the hello, the fault the audio.
        return [next(given)] if isinstance(message, str) or message[4:8] == b"\1\0\0\0" else []

    async with sockets(answer) as url:
        client = NativeClient(CloudSettings(url))
        with pytest.raises(error, match=text):
            await client.transcribe(whole())
        await client.close()


async def test_a_realtime_server_is_sent_what_it_expects():
    seen = []

    def answer(message):
        event = json.loads(message)
        seen.append(event)
        if event["type"] != "input_audio_buffer.commit":
            return ["garbage", '{"type": "session.updated"}']
        kind = "conversation.item.input_audio_transcription"
        return [
            json.dumps({"type": f"{kind}.delta", "delta": "He"}),
            json.dumps({"type": f"{kind}.completed", "transcript": " Hello. "}),
        ]

    async with sockets(answer) as url:
        settings = CloudSettings(url, model="m", language="en", hints=("Ada", "Bo"))
        answered = await RealtimeClient(settings).transcribe(whole(0.05))
    assert answered.text == "Hello."
    session = seen[0]["session"]["audio"]["input"]
    assert session["transcription"] == {"model": "m", "language": "en", "prompt": "Ada, Bo"}
    assert session["turn_detection"] is None
    sent = sum(len(event["audio"]) * 3 // 4 for event in seen if "audio" in event)
    # Half of the least the server takes is speech; the rest is filled up.
    assert sent >= 2 * RATE // 10


@pytest.mark.parametrize(
    ("reply", "error"),
    [
        ('{"type": "error", "error": {"type": "server_error"}}', CloudLostError),
        ('{"type": "error", "error": {"type": "invalid_request_error"}}', CloudRefusedError),
        ('{"type":"conversation.item.input_audio_transcription.failed"}', CloudLostError),
        (None, CloudLostError),
    ],
)
async def test_each_fault_of_a_realtime_server_has_a_name(reply, error):
    async with sockets(lambda _message: [reply]) as url:
        with pytest.raises(error):
            await RealtimeClient(CloudSettings(url, model="m")).transcribe(whole())


def transcriptions(answer) -> TranscriptionClient:
    """A client whose requests go to `answer` instead of a network."""
    settings = CloudSettings("http://asr.example/v1/", model="m", hints=("Ada", "Bo"))
    client = TranscriptionClient(settings)
    client._http = httpx.AsyncClient(transport=httpx.MockTransport(answer))
    return client


async def test_a_server_without_word_times_is_asked_without_them():
    asked = []

    def answer(request):
        asked.append(request.content)
        if b"verbose_json" in request.content:
            return httpx.Response(400)
        return httpx.Response(200, json={"text": " Hello. "})

    client = transcriptions(answer)
    assert (await client.transcribe(whole())).text == "Hello."
    await client.transcribe(whole())
    assert len(asked) == 3
    assert b"Ada, Bo" in asked[0] and b"RIFF" in asked[0]
    await client.close()


async def test_word_times_become_samples():
    words = [{"word": "Hello.", "start": 0.5, "end": 1}]
    client = transcriptions(lambda _: httpx.Response(200, json={"text": "Hello.", "words": words}))
    assert (await client.transcribe(whole())).words == (Word("Hello.", 8000, 16_000, 1.0),)
    await client.close()


@pytest.mark.parametrize(
    ("response", "error"),
    [
        (httpx.Response(401), CloudLostError),
        (httpx.Response(404), CloudLostError),
        (httpx.Response(413), CloudRefusedError),
        (httpx.Response(429), CloudLostError),
        (httpx.Response(503), CloudLostError),
        (httpx.Response(200, text="<html>"), CloudLostError),
        (httpx.Response(200, json=[1]), CloudLostError),
        (httpx.Response(200, json={"text": 3}), CloudLostError),
    ],
)
async def test_each_status_has_a_remedy(response, error):
    client = transcriptions(lambda _: response)
    with pytest.raises(error):
        await client.transcribe(whole())
    await client.close()
