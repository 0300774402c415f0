"""Calls over real sockets, from a peer that speaks as Asterisk's documents say it does."""

import asyncio
import contextlib
import json
import uuid

import numpy as np
import pytest
import uvicorn
import websockets

from agent.server.app import build_app
from agent.server.asterisk import audiosocket
from agent.transports.asterisk.frames import AUDIO_RATES, Kind, Message, Reader
from agent.transports.sip.g711 import PCMU
from tests.sip.household import GREETING, WORD_S, sessions

TOKEN = "0123456789abcdef0123"
GREETING_S = len(GREETING.split()) * WORD_S
_LIMIT_S = 20.0


def loud_s(pcm, rate):
    hop = rate // 100
    hops = pcm[: len(pcm) // hop * hop].reshape(-1, hop)
    return float((np.abs(hops.astype(np.int32)).max(axis=1) > 1000).sum() / 100)


class Peer:
    """The Asterisk end of an AudioSocket."""

    def __init__(self, reader, writer):
        self._reader, self._writer = reader, writer
        self.messages = []

    def send(self, *messages):
        self._writer.write(b"".join(map(bytes, messages)))

    async def listen(self):
        cut = Reader()
        with contextlib.suppress(ConnectionError):
            while data := await self._reader.read(4096):
                self.messages += cut.push(data)

    def audio(self, kind=0x10):
        return np.frombuffer(b"".join(m.payload for m in self.messages if m.kind == kind), np.int16)


@contextlib.asynccontextmanager
async def audiosocket_server(**sections):
    household = sessions(asterisk={"audiosocket_port": 0}, **sections)
    async with audiosocket(household) as server:
        yield household, server.sockets[0].getsockname()[1]
        await household.drain()


@contextlib.asynccontextmanager
async def peer(port):
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield Peer(reader, writer)
    finally:
        writer.close()


async def until(wanted):
    async with asyncio.timeout(_LIMIT_S):
        while not wanted():  # noqa: ASYNC110 - another end of a socket
            await asyncio.sleep(0.02)


CALL = Message(Kind.ID, uuid.UUID(int=7).bytes)


@pytest.mark.parametrize("kind", [0x10, 0x12], ids=lambda kind: f"{AUDIO_RATES[kind]} Hz")
async def test_audiosocket_hears_the_greeting_and_the_farewell(kind):
    rate = AUDIO_RATES[kind]
    async with audiosocket_server() as (household, port), peer(port) as asterisk:
        asterisk.send(CALL, Message(kind, bytes(rate // 25)))
        listening = asyncio.create_task(asterisk.listen())
        await until(lambda: loud_s(asterisk.audio(kind), rate) >= GREETING_S - 0.05)
        assert {len(m.payload) for m in asterisk.messages if m.kind == kind} == {rate // 25}
        await household.running[0].end()
        await asyncio.wait_for(listening, _LIMIT_S)
        assert asterisk.messages[-1].kind == Kind.HANGUP


async def test_audiosocket_survives_nonsense_and_ends_when_asterisk_does():
    async with audiosocket_server() as (household, port), peer(port) as asterisk:
        listening = asyncio.create_task(asterisk.listen())
        asterisk.send(
            CALL,
            Message(0x42, b"new"),
            Message(0x10, b"\0"),
            Message(Kind.KEY, b"5"),
            Message(Kind.KEY, b""),
            Message(0x16, bytes(100)),
            Message(0x10, bytes(320)),
        )
        await until(lambda: loud_s(asterisk.audio(), 8000) > 0.1)
        asterisk.send(Message(Kind.HANGUP))
        await until(lambda: not household.active)
        await asyncio.wait_for(listening, _LIMIT_S)


@pytest.mark.parametrize(
    "first", [b"", b"GET / HTTP/1.1\r\n\r\n", bytes(Message(Kind.ID, b"short"))]
)
async def test_what_is_no_call_takes_no_place(first):
    async with audiosocket_server() as (household, port), peer(port) as stranger:
        stranger._writer.write(first)
        if not first:
            stranger._writer.write_eof()
        await asyncio.wait_for(stranger.listen(), _LIMIT_S)
        assert not household.active and not stranger.messages


async def test_audiosocket_is_busy_at_the_cap():
    async with (
        audiosocket_server(server={"max_sessions": 1}) as (household, port),
        peer(port) as first,
        peer(port) as second,
    ):
        first.send(CALL, Message(0x10, bytes(320)))
        await until(lambda: household.active == 1)
        second.send(CALL, Message(0x10, bytes(320)))
        await asyncio.wait_for(second.listen(), _LIMIT_S)
        assert [message.kind for message in second.messages] == [Kind.HANGUP]


class Channel:
    """The Asterisk end of chan_websocket: plays what it is given, says when marks are reached."""

    def __init__(self, socket, *, is_json):
        self._socket, self._is_json = socket, is_json
        self.audio = bytearray()
        self.commands = []

    async def start(self):
        fields = {
            "connection_id": "c",
            "channel": "WebSocket/c",
            "channel_id": "1.2",
            "format": "ulaw",
        }
        fields |= {"optimal_frame_size": "160", "ptime": "20"}
        await self.tell("MEDIA_START", **fields)

    async def tell(self, event, **fields):
        if self._is_json:
            await self._socket.send(json.dumps({"event": event, **fields}))
        else:
            # As Asterisk 22.10 writes them: the name of a mark stands bare.
            words = [
                value if name == "correlation_id" else f"{name}:{value}"
                for name, value in fields.items()
            ]
            await self._socket.send(" ".join([event, *words]))

    async def listen(self):
        with contextlib.suppress(websockets.ConnectionClosed):
            async for message in self._socket:
                await self._take(message)

    async def _take(self, message):
        if isinstance(message, bytes):
            self.audio += message
            return
        parts = json.loads(message) if self._is_json else None
        name, mark = (
            (parts["command"], parts.get("correlation_id"))
            if parts
            else (*message.split(" ", 1), None)[:2]
        )
        self.commands.append(name)
        if name == "MARK_MEDIA":
            await self.tell("MEDIA_MARK_PROCESSED", correlation_id=mark)
        elif name == "HANGUP":
            await self._socket.close()

    @property
    def pcm(self):
        return PCMU.decode(bytes(self.audio))


@contextlib.asynccontextmanager
async def web_server(**sections):
    household = sessions(asterisk={"token": TOKEN}, **sections)
    config = uvicorn.Config(build_app(household), port=0, log_level="warning", lifespan="off")
    server = uvicorn.Server(config)
    serving = asyncio.create_task(server.serve())
    await until(lambda: server.started)
    port = server.servers[0].sockets[0].getsockname()[1]
    try:
        yield household, f"ws://127.0.0.1:{port}/phone/asterisk/stream/"
    finally:
        await household.drain()
        await until(lambda: not household.active)
        server.should_exit = True
        await asyncio.wait_for(serving, _LIMIT_S)


@pytest.mark.parametrize("is_json", [True, False], ids=["json", "plain"])
async def test_chan_websocket_hears_the_greeting_and_the_farewell(is_json):
    async with web_server() as (household, url):
        async with websockets.connect(url + TOKEN, subprotocols=["media"]) as socket:
            assert socket.subprotocol == "media"
            channel = Channel(socket, is_json=is_json)
            listening = asyncio.create_task(channel.listen())
            await channel.start()
            await channel.tell("DTMF_END", digit="5")
            await channel.tell("STATUS", queue_length="0")
            await socket.send("nonsense \x00 {")
            await until(lambda: loud_s(channel.pcm, 8000) >= GREETING_S - 0.05)
            await household.running[0].end()
            await asyncio.wait_for(listening, _LIMIT_S)
        assert "MARK_MEDIA" in channel.commands and channel.commands[-1] == "HANGUP"


async def test_chan_websocket_drops_what_is_queued_when_interrupted():
    tone = 9000 * np.sin(2 * np.pi * 200 * np.arange(160) / 8000)
    packet = PCMU.encode(tone.astype(np.int16))
    async with (
        web_server(greeting=" ".join(["word"] * 100)) as (_, url),
        websockets.connect(url + TOKEN) as socket,
    ):
        channel = Channel(socket, is_json=True)
        listening = asyncio.create_task(channel.listen())
        await channel.start()
        await until(lambda: loud_s(channel.pcm, 8000) > 0.3)
        for _ in range(150):
            await socket.send(packet)
            await asyncio.sleep(0.02)
            if "FLUSH_MEDIA" in channel.commands:
                break
        assert "FLUSH_MEDIA" in channel.commands
        listening.cancel()


async def test_another_token_is_refused():
    async with web_server() as (household, url):
        with pytest.raises(websockets.InvalidStatus):
            await websockets.connect(url + "0" * 20)
        assert not household.active
