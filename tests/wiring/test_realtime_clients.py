"""Unmodified clients of others, and plain scripts, talk with an agent: with real ears and voice."""

import asyncio
import base64
import io
import json

import numpy as np
import pytest
import soundfile
import websockets
from openai import AsyncOpenAI

from agent.audio.resample import resample
from tests.live import LiveServer
from tests.realtime_fuzz import run_live
from tests.speech import understood
from tests.wiring.scripted_model import ScriptedModel
from tests.wiring.shop import (
    ASKS,
    INTERRUPTS,
    LONG,
    SHORT,
    answer,
    heard_of_long,
    prepare,
    said,
)

pytestmark = pytest.mark.model

TOOL = {
    "type": "function",
    "name": "opening_hours_of",
    "description": "When the shop is open on a day.",
    "parameters": {
        "type": "object",
        "properties": {"day": {"type": "string"}},
        "required": ["day"],
    },
}


@pytest.fixture(scope="module")
def model():
    model = ScriptedModel(answer)
    yield model
    model.stop()


@pytest.fixture(scope="module")
def url(model):
    server = LiveServer("tests/wiring/realtime_agent.py", model.url)
    server.wait_ready()
    yield server.url
    server.stop()


class Microphone:
    """Sends speech where there is any, else silence, at the pace of speech."""

    def __init__(self, send, rate):
        prepare(rate)
        self._send, self._rate = send, rate
        self._left = np.zeros(0, np.int16)

    def say(self, text):
        self._left = np.concatenate([self._left, said(text, self._rate)])

    async def run(self):
        size = self._rate // 50
        loop = asyncio.get_running_loop()
        due = loop.time()
        while True:
            packet, self._left = self._left[:size], self._left[size:]
            await self._send(np.pad(packet, (0, size - len(packet))).tobytes())
            due += 0.02
            await asyncio.sleep(max(0.0, due - loop.time()))


def said_in(audio, rate):
    return understood(resample(np.frombuffer(audio, np.int16), rate, 16_000)).lower()


async def test_the_openai_sdk_holds_a_conversation(url, model):
    client = AsyncOpenAI(api_key="none", base_url=f"{url}v1")
    audio, texts, statuses = bytearray(), {}, []
    async with client.realtime.connect(model="duplex") as line, asyncio.timeout(120):

        async def send(pcm):
            await line.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())

        microphone = Microphone(send, 24_000)
        await line.session.update(
            session={
                "type": "realtime",
                "instructions": "You are a shop.",
                "tools": [TOOL],
                "audio": {
                    "input": {"turn_detection": {"type": "server_vad"}},
                    "output": {"voice": "marin"},
                },
            }
        )
        present = asyncio.create_task(microphone.run())
        has_interrupted = False
        try:
            async for event in line:
                match event.type:
                    case "session.updated":
                        microphone.say(ASKS)
                    case "conversation.item.input_audio_transcription.completed":
                        texts[event.item_id] = event.transcript
                    case "response.output_audio.delta":
                        audio += base64.b64decode(event.delta)
                        if len(audio) > 2 * 2 * 24_000 and not has_interrupted:
                            has_interrupted = True
                            microphone.say(INTERRUPTS)
                    case "response.done":
                        statuses.append(event.response.status)
                        (item,) = event.response.output
                        if item.type == "function_call":
                            assert json.loads(item.arguments) == {"day": "Friday"}
                            output = {"type": "function_call_output", "call_id": item.call_id}
                            await line.conversation.item.create(item={**output, "output": "9 to 5"})
                            await line.response.create()
                        elif event.response.status == "cancelled":
                            first, audio = bytes(audio), bytearray()
                            await line.conversation.item.truncate(
                                item_id=item.id, content_index=0, audio_end_ms=1500
                            )
                        else:
                            break
                    case "error":
                        pytest.fail(str(event.error))
        finally:
            present.cancel()

    assert statuses == ["completed", "cancelled", "completed"]
    assert "friday" in next(iter(texts.values())).lower()
    assert "sunday" in list(texts.values())[-1].lower()
    assert "friday" in said_in(first, 24_000) and "closed" in said_in(audio, 24_000)
    # What the language model is told of the first answer is what 1.5 s of it hold.
    heard = heard_of_long(model.asked[-1])
    assert LONG.startswith(heard) and 3 <= len(heard.split()) <= 8


async def test_the_openai_sdk_takes_turns_by_hand(url, model):
    client = AsyncOpenAI(api_key="none", base_url=f"{url}v1")
    async with client.realtime.connect(model="duplex") as line, asyncio.timeout(90):
        manual = {"type": "realtime", "audio": {"input": {"turn_detection": None}}}
        await line.session.update(session=manual)
        pcm = said(INTERRUPTS, 24_000).tobytes()
        await line.input_audio_buffer.append(audio=base64.b64encode(pcm).decode())
        await line.input_audio_buffer.commit()
        await line.response.create()
        async for event in line:
            assert event.type != "error", event
            if event.type == "response.done":
                break
    assert event.response.output[0].content[0].transcript == SHORT
    assert "sunday" in model.asked[-1][-1]["content"].lower()


async def test_the_openai_sdk_is_answered_in_text(url, model):
    client = AsyncOpenAI(api_key="none", base_url=f"{url}v1")
    async with client.realtime.connect(model="duplex") as line, asyncio.timeout(90):
        await line.session.update(
            session={"type": "realtime", "output_modalities": ["text"], "tools": [TOOL]}
        )
        await line.conversation.item.create(item=typed("When are you open on Friday?"))
        await line.response.create()
        text = ""
        async for event in line:
            assert event.type != "error", event
            assert "audio" not in event.type
            if event.type == "response.output_text.delta":
                text += event.delta
            elif event.type == "response.done":
                (item,) = event.response.output
                if item.type == "message":
                    break
                output = {"type": "function_call_output", "call_id": item.call_id}
                await line.conversation.item.create(item={**output, "output": "9 to 5"})
                await line.response.create()
    assert item.content[0].text == text and text.strip() == LONG
    assert event.response.output_modalities == ["text"]


async def test_the_openai_sdk_asks_beside_the_conversation(url, model):
    client = AsyncOpenAI(api_key="none", base_url=f"{url}v1")
    done = {}
    async with client.realtime.connect(model="duplex") as line, asyncio.timeout(90):
        await line.conversation.item.create(item=typed("When are you open on Friday?"))
        aside = {
            "conversation": "none",
            "output_modalities": ["text"],
            "tools": [TOOL],
            "max_output_tokens": 7,
        }
        await line.response.create(response={**aside, "metadata": {"for": "the conversation"}})
        given = [typed("Is it Sunday?")]
        await line.response.create(
            response={**aside, "input": given, "metadata": {"for": "something else"}}
        )
        async for event in line:
            assert event.type != "error", event
            if event.type == "response.done":
                done[event.response.metadata["for"]] = event.response
                if len(done) == 2:
                    break
    (called,), (said,) = (done[name].output for name in ("the conversation", "something else"))
    assert json.loads(called.arguments) == {"day": "Friday"}
    assert said.content[0].text.strip() == SHORT
    asked = [messages[-1]["content"] for messages in model.asked[-2:]]
    assert sorted(asked) == ["Is it Sunday?", "When are you open on Friday?"]
    assert model.limits[-2:] == [7, 7]


def typed(text):
    content = [{"type": "input_text", "text": text}]
    return {"type": "message", "role": "user", "content": content}


async def test_the_openai_sdk_speaks_and_transcribes(url):
    client = AsyncOpenAI(api_key="none", base_url=f"{url}v1")
    made = await client.audio.speech.create(
        model="duplex", voice="alloy", input=SHORT, response_format="wav"
    )
    assert "closed" in said_in(made.content[44:], 24_000)
    mp3 = await client.audio.speech.create(model="duplex", voice="alloy", input=SHORT)
    signal, rate = soundfile.read(io.BytesIO(mp3.content), dtype="int16")
    assert abs(len(signal) / rate - len(made.content) / 48_000) < 0.2

    file = ("a.mp3", mp3.content)
    text = await client.audio.transcriptions.create(model="duplex", file=file)
    assert "Sunday" in text.text
    told = await client.audio.transcriptions.create(
        model="duplex",
        file=file,
        response_format="verbose_json",
        timestamp_granularities=["word"],
    )
    assert told.text == text.text and "Sunday" in told.words[1].word
    assert 0 < told.words[1].start < told.words[1].end < told.duration
    plain = await client.audio.transcriptions.create(
        model="duplex", file=file, response_format="text"
    )
    assert plain.strip() == text.text
    with pytest.raises(Exception, match="af_heart"):
        await client.audio.speech.create(model="duplex", voice="nobody", input="x")


async def test_a_plain_script_holds_a_conversation(url, model):
    answers, audio = [], bytearray()
    async with (
        websockets.connect(f"{url.replace('http', 'ws')}v1/stream?sample_rate=16000") as line,
        asyncio.timeout(120),
    ):
        microphone = Microphone(line.send, 16_000)
        present = asyncio.create_task(microphone.run())
        has_interrupted = False
        try:
            async for message in line:
                if isinstance(message, bytes):
                    audio += message
                    if answers and len(audio) > 2 * 2 * 16_000 and not has_interrupted:
                        has_interrupted = True
                        microphone.say(INTERRUPTS)
                    continue
                event = json.loads(message)
                if event.get("role") == "assistant" and event["final"]:
                    answers.append(event)
                    audio.clear()
                    if len(answers) == 1:
                        microphone.say(ASKS)
                    if len(answers) == 3:
                        break
        finally:
            present.cancel()
    greeting, first, second = answers
    assert greeting["text"] == "Hello, this is the shop."
    assert first["interrupted"] and LONG.startswith(first["text"])
    assert second["text"] == SHORT
    assert heard_of_long(model.asked[-1]) == first["text"]


async def test_garbage_over_the_wire_is_answered_and_survived(url):
    found = await run_live(f"{url.replace('http', 'ws')}v1/realtime", cases=300)
    assert found["lost"] == 0 and found["errors"] > 100
